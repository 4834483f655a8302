// SPDX-License-Identifier: Apache-2.0
// Commits that say anything, under right checksums: scan_journal() and find_later_commit().
//   u8 tail, then commits until the input ends:
//   {u8 flags, u8 place in the ring, u8 epoch, u16 bytes of records, u8 images, records, u16 home
//   of each image, patches over the first block}.
#include "journal/journal.h"
#include "journal/journal_format.h"
#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

constexpr std::uint64_t kRing = 24;
constexpr unsigned kPatched = 1, kNotNext = 2, kComplete = 4, kBadBody = 8, kRawImage = 16;

struct Ring {
  Superblock superblock;  // says where the ring is
  std::shared_ptr<MemoryVolume> volume = std::make_shared<MemoryVolume>("ring", 1u << 20);
  JournalPosition next{0, Sequence(1)};
};

void put_images(fuzz::Input& input, const Ring& ring, unsigned images, std::span<std::byte> commit,
                std::size_t homes_at, bool raw) {
  for (unsigned i = 0; i < images; ++i) {
    const std::uint16_t home = input.u16();
    if (homes_at + 8 <= commit.size()) view_as<Le64>(commit.subspan(homes_at)).set(home % 300);
    homes_at += sizeof(Le64);
    const auto block = commit.subspan(commit.size() - (images - i) * kBlockSize, kBlockSize);
    if (raw)
      input.fill(block.first(64));
    else
      seal_block(block, (home & 0x8000) ? BlockKind::commit : BlockKind::leaf,
                 BlockAddress(home % 300), ring.superblock.uuid, Sequence(1));
  }
}

void add_commit(fuzz::Input& input, Ring& ring) {
  const unsigned flags = input.u8(), place = input.u8(), epoch = input.u8();
  const std::size_t record_bytes = input.u16() % 9000;
  const unsigned images = input.u8() % 4;
  const std::uint64_t blocks = Journal::blocks_needed(record_bytes, images);
  std::vector<std::byte> commit(blocks * kBlockSize);
  const auto first = std::span(commit).first(kBlockSize);
  auto& header = view_as<CommitHeader>(first.subspan(sizeof(BlockHeader)));
  JournalPosition at = ring.next;
  if (flags & kNotNext) at = {place % kRing, Sequence(place / 16)};
  header.epoch.set(1 + epoch / 64);
  header.checkpoint.set(images > 0 || (flags & kComplete) ? at.sequence.value : 0);
  header.record_bytes.set(static_cast<std::uint32_t>(record_bytes));
  header.images.set(images);
  header.blocks.set(static_cast<std::uint32_t>(blocks));
  header.flags.set((flags & kComplete) ? kCheckpointComplete : 0);
  input.fill(std::span(commit).subspan(kCommitRecords, record_bytes));
  put_images(input, ring, images, commit, kCommitRecords + record_bytes, (flags & kRawImage) != 0);
  if (flags & kPatched) input.patch(first.subspan(sizeof(BlockHeader)));
  fuzz::put_commit(*ring.volume, ring.superblock, at, commit);
  if ((flags & kBadBody) && blocks > 1) {
    const std::byte damage[1] = {static_cast<std::byte>(place)};
    const std::uint64_t block = (at.block + blocks - 1) % kRing;
    ring.volume->poke((ring.superblock.journal + block).value * kBlockSize + 100, damage);
  }
  ring.next = {(at.block + blocks) % kRing, at.sequence + 1};
}

}  // namespace

FUZZ_TARGET(journal) {
  Ring ring;
  ring.superblock.uuid = Uuid::from_random(1, 1);
  ring.superblock.journal = BlockAddress(8);
  ring.superblock.journal_blocks = kRing;
  const JournalPosition tail{input.u8() % kRing, Sequence(1)};
  ring.next = tail;
  for (int commits = 0; !input.empty() && commits < 64; ++commits) add_commit(input, ring);

  MemoryDevice device(ring.volume);
  const JournalLayout layout{ring.superblock.journal, kRing};
  Sequence expected = tail.sequence;
  std::uint64_t blocks = 0;
  unsigned sum = 0;
  Epoch epoch;
  const auto head = scan_journal(
      device, layout, ring.superblock.uuid, tail, [&](const ScannedCommit& commit) -> Status {
        fuzz::require(commit.position.sequence == expected, "commits come in sequence");
        fuzz::require(commit.epoch >= epoch, "epochs only grow");
        ++expected;
        epoch = commit.epoch;
        blocks += commit.blocks;
        for (const std::byte b : commit.records) sum += static_cast<unsigned>(b);
        for (const Image& image : commit.images)
          fuzz::require_ok(check_any_block(image.content, image.home, ring.superblock.uuid),
                           "an image");
        return {};
      });
  fuzz::require(blocks < kRing, "commits fit into the ring", std::to_string(sum));
  if (!head.ok()) return;
  fuzz::require(head->sequence == expected && head->block < kRing, "the head");
  const auto later = find_later_commit(device, layout, ring.superblock.uuid, tail, *head, epoch);
  fuzz::require_ok(later.status(), "the search behind the head");
  if (*later)
    fuzz::require((*later)->position.sequence > head->sequence, "a later commit is later");
}
