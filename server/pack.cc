// SPDX-License-Identifier: Apache-2.0
#include "server/pack.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "journal/journal_format.h"
#include "server/repair.h"
#include "store/aligned_buffer.h"
#include "store/bits.h"
#include "store/crc.h"
#include "store/space.h"
#include "store/superblock.h"
#include "store/zeros.h"

namespace csnap {
namespace {

using BlockRun = Run<BlockAddress>;

constexpr std::uint64_t kAtOnce = 256;  // blocks in one read

// Does it say that it is a block of this store, at this place? Its checksum may be wrong.
bool is_ours(ConstBlock block, BlockAddress address, const Uuid& store) {
  const auto& header = view_as<BlockHeader>(block);
  return header.address.get() == address.value &&
         std::memcmp(header.uuid, store.bytes.data(), sizeof header.uuid) == 0;
}

// Is it a block of some store's metadata, be it damaged or of another place? What shows fewer than
// two of these marks may be anybody's data.
bool is_metadata(ConstBlock block, BlockAddress address, const Uuid& store) {
  const auto& header = view_as<BlockHeader>(block);
  const bool known = std::string_view(kind_name(kind_of(block))) != kind_name(BlockKind{});
  const bool here = header.address.get() == address.value;
  const bool same = std::memcmp(header.uuid, store.bytes.data(), sizeof header.uuid) == 0;
  return known + here + same >= 2;
}

bool is_tree_block(ConstBlock block, BlockAddress address, const Uuid& store) {
  const BlockKind kind = kind_of(block);
  return (kind == BlockKind::leaf || kind == BlockKind::node) && is_ours(block, address, store);
}

class Packer {
 public:
  Packer(Device& store, Device* separate, const PackOptions& options, PackWriter::Sink sink)
      : store_(store),
        separate_(separate),
        home_(separate ? *separate : store),
        options_(options),
        writer_(std::move(sink)),
        buffer_(kAtOnce * kBlockSize) {}

  Result<Packed> run() {
    CSNAP_TRY(find_superblock());
    if (superblock_.separate_metadata != (separate_ != nullptr))
      return Status(Code::invalid, separate_ ? "the store has no separate metadata device"
                                             : "the store has a separate metadata device; name it");
    CSNAP_TRY(writer_.begin({superblock_.uuid, store_.size(), separate_ ? home_.size() : 0}));
    CSNAP_TRY(pack_fixed_areas());
    CSNAP_TRY(pack_tree());
    if (separate_)
      CSNAP_TRY(read(store_, {kDataLabel, 1}, [&](BlockAddress address, ConstBlock block) {
        return pack_fixed(PackSide::store, address, block);
      }));
    CSNAP_TRY(writer_.finish());
    packed_.blocks = writer_.blocks();
    return packed_;
  }

 private:
  using Visit = std::function<Status(BlockAddress, ConstBlock)>;

  Status find_superblock() {
    auto found = read_superblock(home_);
    if (found.status().code() == Code::corrupt) {
      const Status why = found.status();
      found = find_superblock_in_journal(store_, home_);
      if (!found.ok()) return Status(why.code(), why.message() + "; " + found.status().message());
    }
    if (!found.ok()) return found.status();
    superblock_ = std::move(*found);
    return {};
  }

  // Visits the blocks that can be read, in order.
  Status read(Device& device, BlockRun run, const Visit& visit) {
    const std::uint64_t end = std::min(run.end().value, device.size() / kBlockSize);
    for (std::uint64_t at = run.start.value; at < end;) {
      const std::uint64_t count = std::min(kAtOnce, end - at);
      const auto piece = buffer_.span().first(count * kBlockSize);
      const bool whole = read_sync(device, at * kBlockSize, piece).ok();
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto block = piece.subspan(i * kBlockSize, kBlockSize);
        if (!whole && !read_sync(device, (at + i) * kBlockSize, block).ok()) {
          ++packed_.unreadable;
          continue;
        }
        CSNAP_TRY(visit(BlockAddress(at + i), block));
      }
      at += count;
    }
    return {};
  }

  Status pack_fixed_areas() {
    const Superblock& s = superblock_;
    std::vector<BlockRun> runs{{kSuperblockA, 1},
                               {kSuperblockB, 1},
                               {s.snapshots, s.snapshot_blocks},
                               {s.clients, s.client_blocks},
                               {s.data.bitmap, s.data.bitmap_ready},
                               {s.checksums, s.checksums_ready},
                               {s.journal, s.journal_blocks}};
    if (separate_) runs.push_back({s.metadata.bitmap, s.metadata.bitmap_ready});
    std::sort(runs.begin(), runs.end(),
              [](const BlockRun& a, const BlockRun& b) { return a.start < b.start; });
    for (const BlockRun& run : runs) {
      if (run.start == s.journal) {
        CSNAP_TRY(pack_journal());
        continue;
      }
      CSNAP_TRY(read(home_, run, [&](BlockAddress address, ConstBlock block) {
        return pack_fixed(PackSide::metadata, address, block);
      }));
    }
    return {};
  }

  // What was misdirected to here, or written over it by another program, does not go along.
  Status pack_fixed(PackSide side, BlockAddress address, ConstBlock block) {
    if (!is_metadata(block, address, superblock_.uuid) && !all_zero(block)) {
      ++packed_.foreign;
      return {};
    }
    return pack(side, address, block);
  }

  Status pack(PackSide side, BlockAddress address, ConstBlock block) {
    if (!check_any_block(block, address, superblock_.uuid).ok() && !all_zero(block))
      ++packed_.damaged;
    return writer_.add(side, address, block);
  }

  // -- the journal: what was never written there is whatever the device held before -------------

  Status pack_journal() {
    const std::uint64_t ring = superblock_.journal_blocks;
    std::vector<bool> written(ring);
    std::vector<std::pair<std::uint64_t, CommitHeader>> commits;
    const BlockRun journal{superblock_.journal, ring};
    CSNAP_TRY(read(home_, journal, [&](BlockAddress address, ConstBlock block) -> Status {
      const std::uint64_t at = address - superblock_.journal;
      if (check_block(block, BlockKind::commit, address, superblock_.uuid).ok())
        commits.emplace_back(at, view_as<CommitHeader>(block.subspan(sizeof(BlockHeader))));
      if (view_as<BlockHeader>(block).kind.get() == static_cast<std::uint32_t>(BlockKind::commit))
        written[at] = is_ours(block, address, superblock_.uuid);
      return {};
    }));
    for (const auto& [at, header] : commits) {
      if (!is_whole(at, header)) continue;
      for (std::uint64_t i = 0; i < header.blocks.get(); ++i) written[(at + i) % ring] = true;
    }
    const std::vector<std::byte> zeros(kBlockSize);
    return read(home_, journal, [&](BlockAddress address, ConstBlock block) {
      const bool ours = written[address - superblock_.journal];
      return writer_.add(PackSide::metadata, address, ours ? block : ConstBlock(zeros));
    });
  }

  bool is_whole(std::uint64_t at, const CommitHeader& header) {
    const std::uint64_t ring = superblock_.journal_blocks, blocks = header.blocks.get();
    if (blocks == 0 || blocks >= ring || blocks > kMaxCommitBlocks) return false;
    std::uint32_t crc = crc32c({});
    for (std::uint64_t i = 1; i < blocks;) {
      const std::uint64_t place = (at + i) % ring;
      const std::uint64_t count = std::min({kAtOnce, blocks - i, ring - place});
      const auto piece = buffer_.span().first(count * kBlockSize);
      if (!read_sync(home_, (superblock_.journal + place).value * kBlockSize, piece).ok())
        return false;
      crc = crc32c_extend(crc, piece);
      i += count;
    }
    return crc == header.body_crc.get();
  }

  // -- the tree: blocks in use that say that they are of it ---------------------------------------

  Status pack_tree() {
    const SpaceLayout& space = std::as_const(superblock_).metadata_space();
    AlignedBuffer bitmap(kBlockSize);
    for (std::uint64_t group = 0; group < space.bitmap_ready; ++group) {
      const BlockAddress address = space.bitmap + group;
      const bool known =
          read_sync(home_, address.value * kBlockSize, bitmap.span()).ok() &&
          check_block(bitmap.span(), BlockKind::bitmap, address, superblock_.uuid).ok();
      // Of a bitmap block that is damaged every block may be in use.
      if (!known) std::memset(bitmap.span().data(), 0xff, kBlockSize);
      CSNAP_TRY(pack_group(group, bitmap.span().subspan(sizeof(BlockHeader))));
      if (options_.progress) options_.progress(group + 1, space.bitmap_ready);
    }
    return {};
  }

  Status pack_group(std::uint64_t group, std::span<const std::byte> bits) {
    const SpaceLayout& space = std::as_const(superblock_).metadata_space();
    const std::uint64_t base = group * kBitsPerBitmapBlock;
    const auto word = [&](std::uint64_t w) { return load_word(bits, w); };
    const std::uint64_t end = std::min(kBitsPerBitmapBlock, space.blocks - base);
    std::uint64_t at = space.reserved > base ? std::min(space.reserved - base, end) : 0;
    while (at < end) {
      const std::uint64_t from = find_bit(word, at, end, true);
      at = find_bit(word, from, end, false);
      CSNAP_TRY(read(home_, {BlockAddress(base + from), at - from},
                     [&](BlockAddress address, ConstBlock block) -> Status {
                       if (!is_tree_block(block, address, superblock_.uuid)) return {};
                       return pack(PackSide::metadata, address, block);
                     }));
    }
    return {};
  }

  Device& store_;
  Device* const separate_;
  Device& home_;
  const PackOptions& options_;
  PackWriter writer_;
  AlignedBuffer buffer_;
  Superblock superblock_;
  Packed packed_;
};

}  // namespace

Result<Packed> pack_store(Device& store, Device* metadata, const PackOptions& options,
                          PackWriter::Sink sink) {
  return Packer(store, metadata, options, std::move(sink)).run();
}

}  // namespace csnap
