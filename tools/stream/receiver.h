// SPDX-License-Identifier: Apache-2.0
// Reads streams from an input, one behind the other, and applies them to a target.
// Threading: one thread.
#pragma once

#include <functional>

#include "tools/stream/byte_input.h"
#include "tools/stream/origin_target.h"

namespace csnap {

struct ReceiveOutcome {
  StreamCounts counts;
  std::uint64_t bytes_in = 0;  // as they came
  Status status;
  std::optional<ResumeToken> token;  // after a failure: where to go on
};

// A stream that is cut off leaves what came of it, to go on with, and so does one that is whole but
// for its snapshot, as when the name is taken; a bad one is undone.
ReceiveOutcome receive_streams(ByteInput& input, OriginTarget& target,
                               const std::function<void(std::uint64_t reached)>& progress);

}  // namespace csnap
