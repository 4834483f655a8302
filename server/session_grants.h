// SPDX-License-Identifier: Apache-2.0
// The provisional places that a session was given and has not finished. Kept so that a request
// whose answer was lost with its connection gets the same places when it is sent again (others
// would stay taken for nothing), and so that a client finishes only what it was given, once.
// Threading: the service's thread.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "server/engine.h"

namespace csnap {

class SessionGrants {
 public:
  // The answer to a request that has provisional pieces.
  void add(std::uint64_t request_id, const std::vector<WritePiece>& pieces);
  // That answer, as long as the client has not shown, by finishing any of it, that it got it.
  const std::vector<WritePiece>* answer_to(std::uint64_t request_id) const;
  // Takes these runs out of what was given. false, and nothing is taken, unless all of them were
  // given for these chunks and not taken before.
  bool take(std::span<const WrittenRun> runs);
  std::size_t answers() const { return answers_.size(); }
  std::size_t places() const { return places_.size(); }

 private:
  struct Place {
    Chunk chunk;
    std::uint64_t count = 0;
    std::uint64_t request_id = 0;
  };
  using Places = std::map<StoreChunk, Place>;  // by the store chunk of the first; disjoint
  Places::iterator find(const WrittenRun& run);
  void cut_out(Places::iterator place, const WrittenRun& run);

  Places places_;
  std::unordered_map<std::uint64_t, std::vector<WritePiece>> answers_;
};

}  // namespace csnap
