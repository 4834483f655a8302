// SPDX-License-Identifier: Apache-2.0
// The origin chunks that this client may overwrite without asking: one bit each, in pieces that
// are only there once a bit in them is set, so that a volume of any size costs little.
//
// Threading: all() from any thread, without a lock; set() and clear() from one thread. clear() only
// while nobody relies on an answer of all(): the in-flight gate is closed and drained.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "store/types.h"

namespace csnap {

class UniqueMap {
 public:
  explicit UniqueMap(std::uint64_t chunks);
  ~UniqueMap();
  UniqueMap(const UniqueMap&) = delete;
  UniqueMap& operator=(const UniqueMap&) = delete;

  // Every chunk of the run is known to be unique.
  bool all(ChunkRun run) const;
  // Appends the parts of the run that are not known to be.
  void append_missing(ChunkRun run, std::vector<ChunkRun>& out) const;
  void set(ChunkRun run);
  void clear();
  std::uint64_t chunks() const { return chunks_; }

 private:
  static constexpr std::uint64_t kWordBits = 64;
  static constexpr std::uint64_t kPieceWords = 4096;  // 32 KiB: 1 GiB of a volume at 4 KiB a chunk
  static constexpr std::uint64_t kPieceBits = kPieceWords * kWordBits;
  struct Piece {
    std::atomic<std::uint64_t> words[kPieceWords] = {};
  };

  bool test(std::uint64_t chunk) const;
  // The word that holds the chunk's bit, or null while its piece is not there.
  const std::atomic<std::uint64_t>* word_of(std::uint64_t chunk) const;

  std::uint64_t chunks_;
  std::vector<std::atomic<Piece*>> pieces_;  // the pointers are set once and live as long as this
};

}  // namespace csnap
