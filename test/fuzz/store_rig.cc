// SPDX-License-Identifier: Apache-2.0
#include "test/fuzz/store_rig.h"

#include "btree/check.h"
#include "journal/journal.h"
#include "journal/journal_format.h"
#include "server/check.h"
#include "server/recovery.h"
#include "store/crc.h"

namespace csnap::fuzz {

Superblock plan(unsigned chunk_shift, std::uint64_t metadata_size) {
  LayoutRequest request;
  request.uuid = Uuid::from_random(1, 1);
  request.label = "fuzz";
  request.chunk_shift = chunk_shift;
  request.origin_size = kOriginChunks << chunk_shift;
  request.store_size = kStoreSize << (chunk_shift - kMinChunkShift);
  request.metadata_size = metadata_size;
  request.journal_size = kMinJournalBlocks * kBlockSize;
  auto planned = plan_layout(request);
  require_ok(planned.status(), "a plan");
  return *planned;
}

std::shared_ptr<MemoryVolume> new_store() {
  static const std::shared_ptr<MemoryVolume> made = [] {
    auto volume = std::make_shared<MemoryVolume>("store", kStoreSize);
    MemoryDevice device(volume);
    require_ok(format_store(device, nullptr, plan()), "a new store");
    return volume;
  }();
  return made->clone();
}

void put_block(MemoryVolume& volume, MutableBlock block, BlockKind kind, BlockAddress address,
               const Uuid& uuid, Sequence sequence) {
  seal_block(block, kind, address, uuid, sequence);
  volume.poke(address.value * kBlockSize, block);
}

void put_commit(MemoryVolume& volume, const Superblock& superblock, JournalPosition position,
                std::vector<std::byte>& commit) {
  const auto first = MutableBlock(commit).first(kBlockSize);
  auto& header = view_as<CommitHeader>(first.subspan(sizeof(BlockHeader)));
  header.body_crc.set(crc32c(std::span<const std::byte>(commit).subspan(kBlockSize)));
  seal_block(first, BlockKind::commit, superblock.journal + position.block, superblock.uuid,
             position.sequence);
  for (std::uint64_t i = 0; i < commit.size() / kBlockSize; ++i) {
    const std::uint64_t block = (position.block + i) % superblock.journal_blocks;
    volume.poke((superblock.journal + block).value * kBlockSize,
                std::span(commit).subspan(i * kBlockSize, kBlockSize));
  }
}

std::vector<std::byte> commit_of(std::span<const std::byte> records, Epoch epoch) {
  const std::uint64_t blocks = Journal::blocks_needed(records.size(), 0);
  std::vector<std::byte> commit(blocks * kBlockSize);
  auto& header = view_as<CommitHeader>(std::span(commit).subspan(sizeof(BlockHeader)));
  header.epoch.set(epoch.value);
  header.record_bytes.set(static_cast<std::uint32_t>(records.size()));
  header.blocks.set(static_cast<std::uint32_t>(blocks));
  std::ranges::copy(records, commit.begin() + kCommitRecords);
  return commit;
}

std::shared_ptr<MemoryVolume> killed_store(const std::vector<std::vector<std::byte>>& commits) {
  auto volume = new_store();
  MemoryDevice device(volume);
  Superblock superblock = *read_superblock(device);
  superblock.clean = false;
  JournalPosition at = superblock.tail;
  for (const auto& records : commits) {
    auto commit = commit_of(records, superblock.epoch);
    const std::uint64_t blocks = commit.size() / kBlockSize;
    if (at.block + blocks >= superblock.journal_blocks) break;
    put_commit(*volume, superblock, at, commit);
    at = {at.block + blocks, at.sequence + 1};
  }
  require_ok(write_superblock(device, superblock), "a superblock");
  return volume;
}

void check_recovered(std::shared_ptr<MemoryVolume> volume) {
  MemoryDevice device(volume);
  const auto writes = volume->counters().writes;
  const auto recovered = recover(device, device, 1u << 20);
  const auto report = check_store(device, nullptr);
  require(volume->counters().writes == writes, "recovering and checking write nothing");
  if (!recovered.ok()) return;
  StoreState& state = *recovered->state;
  TreeWalk walk;
  walk.read = read_through(state.cache());
  const TreeReport tree = check_tree(state.superblock(), walk);
  require(tree.sound(), "the tree of a recovered store",
          tree.sound() ? "" : tree.findings.front().to_string());
  require_ok(report.status(), "the check of a store that can be recovered");
}

}  // namespace csnap::fuzz
