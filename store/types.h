// SPDX-License-Identifier: Apache-2.0
// The vocabulary. Each kind of number is its own type, so that a block address cannot be passed
// where a chunk is meant. None converts to or from an integer by itself: write Chunk{7}, c.value.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace csnap {

template <class Tag>
struct Number {
  std::uint64_t value = 0;

  constexpr Number() = default;
  constexpr explicit Number(std::uint64_t v) : value(v) {}
  constexpr auto operator<=>(const Number&) const = default;
  constexpr Number operator+(std::uint64_t n) const { return Number(value + n); }
  constexpr Number operator-(std::uint64_t n) const { return Number(value - n); }
  constexpr std::uint64_t operator-(Number n) const { return value - n.value; }
  constexpr Number& operator+=(std::uint64_t n) {
    value += n;
    return *this;
  }
  constexpr Number& operator++() {
    ++value;
    return *this;
  }
};

using Chunk = Number<struct ChunkTag>;  // logical chunk of the origin, in chunks from its start
using StoreChunk =
    Number<struct StoreChunkTag>;  // chunk of the store device, in chunks from its start
using BlockAddress = Number<struct BlockTag>;   // metadata block, in 4 KiB blocks from the start of
                                                // the metadata device
using SnapshotId = Number<struct SnapshotTag>;  // never reused; 0 is the origin
using Sequence = Number<struct SequenceTag>;    // of a commit; grows by one each
using Epoch = Number<struct EpochTag>;          // of a server's reign; grows at each start

inline constexpr SnapshotId kOrigin{0};

// One bit per snapshot: bit b of an exception's mask says that the snapshot on bit b sees it.
using ShareMask = std::uint64_t;
inline constexpr unsigned kMaxSnapshots = 64;
constexpr ShareMask mask_of_bit(unsigned bit) {
  return ShareMask{1} << bit;
}

inline constexpr std::size_t kBlockSize = 4096;  // bytes of a metadata block
inline constexpr unsigned kBlockShift = 12;
inline constexpr unsigned kMinChunkShift = 12;           // 4 KiB
inline constexpr unsigned kMaxChunkShift = 20;           // 1 MiB
inline constexpr std::uint64_t kMaxChunks = 1ULL << 48;  // keys and addresses are 48 bits on disk
// Of an origin: what is left of an address for lost_store().
inline constexpr std::uint64_t kMaxOriginChunks = 1ULL << 47;

// Where an exception lies whose data is lost: repair found it gone, and it must never read as the
// origin. It takes no space. Neighbouring lost chunks lie at neighbouring "places", so that they
// merge and split as any run does.
inline constexpr std::uint64_t kLostStore = 1ULL << 47;  // places from here on are no places
constexpr StoreChunk lost_store(Chunk chunk) {
  return StoreChunk(kLostStore + chunk.value);
}
constexpr bool is_lost(StoreChunk place) {
  return place.value >= kLostStore;
}

// A run of chunks, of a volume or of the store. count may be 0 only where a function says so.
template <class Index>
struct Run {
  Index start;
  std::uint64_t count = 0;
  constexpr Index end() const { return start + count; }
  constexpr bool contains(Index i) const { return i >= start && i < end(); }
  constexpr bool overlaps(const Run& o) const { return start < o.end() && o.start < end(); }
  constexpr bool operator==(const Run&) const = default;
};
using ChunkRun = Run<Chunk>;
using StoreRun = Run<StoreChunk>;

}  // namespace csnap

template <class Tag>
struct std::hash<csnap::Number<Tag>> {
  std::size_t operator()(const csnap::Number<Tag>& n) const noexcept {
    // Fibonacci hashing: neighbours spread, which the identity hash of the library does not do.
    return static_cast<std::size_t>(n.value * 0x9E3779B97F4A7C15ULL >> 7);
  }
};
