// SPDX-License-Identifier: Apache-2.0
#include "server/check_space.h"

#include <algorithm>
#include <array>
#include <bit>

#include "store/bits.h"
#include "store/space.h"

namespace csnap {
namespace {

constexpr std::size_t kMaxRanges = 16;
constexpr std::uint64_t kWords = kBitsPerBitmapBlock / 64;

void add(std::vector<SpaceFacts::Range>& ranges, std::uint64_t block) {
  if (!ranges.empty() && ranges.back().second == block)
    ++ranges.back().second;
  else if (ranges.size() < kMaxRanges)
    ranges.emplace_back(block, block + 1);
}

// Each block whose bit is set in the word.
template <class F>
void for_each_bit(std::uint64_t word, std::uint64_t base, F f) {
  for (; word != 0; word &= word - 1) f(base + static_cast<std::uint64_t>(std::countr_zero(word)));
}

class Comparison {
 public:
  Comparison(const SpaceLayout& space, const ExpectedBits& expected, SpaceFacts& out)
      : space_(space), expected_(expected), out_(out) {}

  void compare(std::uint64_t group, std::span<const std::byte> actual) {
    expected_.fill(group, bits_, [&](std::uint64_t block) {
      ++out_.shared_blocks;
      add(out_.shared, block);
    });
    const std::uint64_t base = group * kBitsPerBitmapBlock;
    const std::uint64_t blocks = std::min(kBitsPerBitmapBlock, space_.blocks - base);
    bool differs = false;
    for (std::uint64_t w = 0; w < (blocks + 63) / 64; ++w) {
      const std::uint64_t valid = word_mask(0, std::min<std::uint64_t>(64, blocks - w * 64));
      const std::uint64_t wanted = load_word(bits_, w), found = load_word(actual, w) & valid;
      if (wanted == found) continue;
      differs = true;
      for_each_bit(wanted & ~found, base + w * 64, [&](std::uint64_t block) {
        ++out_.missing_blocks;
        add(out_.missing, block);
      });
      for_each_bit(found & ~wanted, base + w * 64, [&](std::uint64_t block) {
        ++out_.leaked_blocks;
        add(out_.leaked, block);
      });
    }
    if (differs) out_.differing.push_back(group);
    count(actual, blocks);
  }

  // A group that was never written: all free, if nothing uses it.
  void compare_unwritten(std::uint64_t group) {
    const std::uint64_t blocks =
        std::min(kBitsPerBitmapBlock, space_.blocks - group * kBitsPerBitmapBlock);
    out_.free_blocks += blocks;
    out_.free_chunks += blocks >> (space_.chunk_shift - kBlockShift);
    expected_.fill(group, bits_, [](std::uint64_t) {});
    const std::uint64_t used = count_bits(bits_, 0, blocks);
    out_.not_ready += used;
    if (used > 0) out_.unwritten.push_back(group);
  }

 private:
  void count(std::span<const std::byte> actual, std::uint64_t blocks) {
    out_.free_blocks += blocks - count_bits(actual, 0, blocks);
    const std::uint64_t per_chunk = 1ULL << (space_.chunk_shift - kBlockShift);
    if (per_chunk == 1) {
      out_.free_chunks += blocks - count_bits(actual, 0, blocks);
      return;
    }
    const auto word = [&](std::uint64_t w) { return load_word(actual, w); };
    for (std::uint64_t at = 0; at < blocks; at += per_chunk)
      out_.free_chunks += find_bit(word, at, at + per_chunk, true) == at + per_chunk;
  }

  const SpaceLayout& space_;
  const ExpectedBits& expected_;
  SpaceFacts& out_;
  std::array<std::byte, kBlockPayload> bits_{};
};

}  // namespace

void ExpectedBits::fill(std::uint64_t group, std::span<std::byte> bits,
                        const std::function<void(std::uint64_t)>& shared) const {
  static_assert(kWords * 64 == kBitsPerBitmapBlock);
  std::fill(bits.begin(), bits.end(), std::byte{0});
  const std::uint64_t from = group * kBitsPerBitmapBlock;
  const std::uint64_t to = std::min(from + kBitsPerBitmapBlock, space_.blocks);
  if (space_.reserved > from) set_bits(bits, 0, std::min(space_.reserved, to) - from);
  if (data_) {
    const unsigned shift = space_.chunk_shift - kBlockShift;
    for (std::uint64_t at = from >> shift, end = to >> shift; at < end;) {
      at = facts_.chunks.find(at, end, true);
      const std::uint64_t last = facts_.chunks.find(at, end, false);
      if (at < last) set_bits(bits, (at << shift) - from, (last << shift) - from);
      at = last;
    }
  }
  if (!tree_) return;
  for (auto block =
           std::lower_bound(facts_.blocks.begin(), facts_.blocks.end(), BlockAddress(from));
       block != facts_.blocks.end() && block->value < to; ++block) {
    const std::uint64_t bit = block->value - from;
    if (count_bits(bits, bit, bit + 1) != 0) shared(block->value);
    set_bits(bits, bit, bit + 1);
  }
}

SpaceFacts check_space(BlockReader& reader, const SpaceLayout& space, const TreeFacts& facts,
                       bool data, bool tree,
                       const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  SpaceFacts out;
  const ExpectedBits expected(space, facts, data, tree);
  Comparison comparison(space, expected, out);
  std::vector<BlockAddress> addresses;
  for (std::uint64_t group = 0; group < space.bitmap_ready; ++group)
    addresses.push_back(space.bitmap + group);
  std::uint64_t done = 0;
  reader.read(addresses, BlockKind::bitmap,
              [&](std::size_t group, const Result<ConstBlock>& block) {
                if (block.ok()) {
                  comparison.compare(group, block->subspan(sizeof(BlockHeader)));
                } else {
                  out.bad.push_back({addresses[group], block.status().message()});
                  out.unreadable.push_back(group);
                }
                if (++done % 1024 == 0) progress(done, addresses.size());
              });
  for (std::uint64_t group = space.bitmap_ready; group < space.bitmap_blocks; ++group)
    comparison.compare_unwritten(group);
  std::sort(out.differing.begin(), out.differing.end());
  std::sort(out.unreadable.begin(), out.unreadable.end());
  return out;
}

}  // namespace csnap
