// SPDX-License-Identifier: Apache-2.0
// Provisional places that the server gave ahead, for chunks that the client chooses: a write of
// whole chunks then needs one round trip, not two. It is a guess that the chunks have no place of
// their own yet; the server says when it was wrong, and then it is asked first again.
// Threading: none of its own; the mapper's.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <span>
#include <vector>

#include "client/mapping.h"

namespace csnap {

class SparePlaces {
 public:
  // So many places at once; asked for again when half of those that came are gone.
  static constexpr std::uint64_t kAtOnce = 64;

  // How many to ask for with the next question; 0 while there are enough, or somebody asks.
  std::uint64_t wanted() const { return asking_ || count_ > low_ ? 0 : kAtOnce; }
  void asked() { asking_ = true; }
  // The question was answered, or came to nothing.
  void add(std::span<const StoreRun> places);

  // What the server said of chunks that it was asked for: all of them were new, or not.
  void learn(std::span<const ChunkRun> chunks, bool all_new);
  // The server has other places for these.
  void wrong(std::span<const ChunkRun> chunks);

  // Places for all of these chunks; empty when the server has to be asked.
  std::vector<WriteTarget> take(std::span<const ChunkRun> chunks);
  // None is ours any more.
  void clear();

 private:
  std::deque<StoreRun> places_;
  std::uint64_t count_ = 0;  // of places_
  std::uint64_t low_ = 0;
  bool asking_ = false;
  bool promising_ = false;     // the last answer was about new chunks
  std::set<Chunk> ask_first_;  // guesses that were wrong, until the server has said more
};

}  // namespace csnap
