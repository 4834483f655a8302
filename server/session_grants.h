// SPDX-License-Identifier: Apache-2.0
// The provisional places that a session was given and has not finished. Kept so that a request
// whose answer was lost with its connection gets the same places when it is sent again (others
// would stay taken for nothing), and so that a client finishes only what it was given, once.
// Threading: the service's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "server/engine.h"

namespace csnap {

class SessionGrants {
 public:
  struct Answer {
    std::vector<WritePiece> pieces;
    StoreRun spares;  // for chunks that the client chooses; count 0: none
  };
  // The answer to a request, if it gives provisional places.
  void add(std::uint64_t request_id, const Answer& answer);
  // That answer, as long as the client has not shown, by finishing any of it, that it got it.
  const Answer* answer_to(std::uint64_t request_id) const;
  // Takes these runs out of what was given. false, and nothing is taken, unless all of them were
  // given, for these chunks or as spares, and not taken before.
  bool take(std::span<const WrittenRun> runs);
  std::size_t answers() const { return answers_.size(); }
  std::size_t places() const { return places_.size(); }

 private:
  struct Place {
    std::optional<Chunk> chunk;  // of the first; none: a spare
    std::uint64_t count = 0;
    std::uint64_t request_id = 0;
  };
  using Places = std::map<StoreChunk, Place>;  // by the store chunk of the first; disjoint
  Places::iterator find(const WrittenRun& run);
  void cut_out(Places::iterator place, const WrittenRun& run);

  Places places_;
  std::unordered_map<std::uint64_t, Answer> answers_;
};

}  // namespace csnap
