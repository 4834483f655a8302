// SPDX-License-Identifier: Apache-2.0
// Recovery of a store whose journal holds any records as good commits: it is refused, or comes up
// with a sound tree, and a server that opens it closes it in order.
//   u8 flags (1: open it with an engine, too), then commits: {u16 bytes of records, records}.
#include "journal/records.h"
#include "server/engine.h"
#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

struct Silent : EngineEvents {
  void barrier_begin(ClientKey, std::uint64_t) override {}
  void barrier_end(ClientKey, std::uint64_t) override {}
  void evict(ClientKey, const std::string&) override {}
  void log(Level, const std::string&) override {}
};

void open_and_close(std::shared_ptr<MemoryVolume> volume) {
  Silent events;
  EngineDevices devices;
  devices.origin = std::make_unique<MemoryDevice>(
      std::make_shared<MemoryVolume>("origin", fuzz::kOriginChunks * kBlockSize));
  devices.store = std::make_unique<MemoryDevice>(volume);
  EngineOptions options;
  options.cache_bytes = 1u << 20;
  options.holder = "fuzz";
  auto engine = Engine::open(std::move(devices), options, events);
  if (!engine.ok()) return;
  for (std::uint64_t turn = 1; turn < 200 && !(*engine)->idle(); ++turn) {
    (*engine)->tick(turn, turn);
    (*engine)->poll();
    (*engine)->end_turn();
  }
  fuzz::require_ok((*engine)->close(), "closing");
}

}  // namespace

FUZZ_TARGET(recovery) {
  const unsigned flags = input.u8();
  const auto volume = fuzz::new_store();
  const Superblock superblock = fuzz::plan();
  MemoryDevice device(volume);
  auto crashed = *read_superblock(device);
  // As a server leaves it that was killed.
  crashed.clean = false;
  JournalPosition at = crashed.tail;
  for (int commits = 0; !input.empty() && commits < 32; ++commits) {
    auto commit = fuzz::commit_of(input.bytes(input.u16()), crashed.epoch);
    const std::uint64_t blocks = commit.size() / kBlockSize;
    if (blocks + at.block >= superblock.journal_blocks) break;
    fuzz::put_commit(*volume, superblock, at, commit);
    at = {at.block + blocks, at.sequence + 1};
  }
  std::array<std::byte, kBlockSize> block{};
  for (const BlockAddress address : {kSuperblockA, kSuperblockB}) {
    encode_superblock(crashed, address, block);
    volume->poke(address.value * kBlockSize, block);
  }
  fuzz::check_recovered(volume);
  if ((flags & 1) == 0) return;
  open_and_close(volume);
  fuzz::check_recovered(volume);
}
