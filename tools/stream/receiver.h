// SPDX-License-Identifier: Apache-2.0
// Reads streams from an input, one behind the other, and applies them to a target.
// Threading: one thread.
#pragma once

#include <functional>

#include "tools/stream/byte_input.h"
#include "tools/stream/origin_target.h"
#include "tools/stream/stream_reader.h"

namespace csnap {

struct ReceiveOutcome {
  StreamCounts counts;
  std::uint64_t bytes_in = 0;  // as they came
  Status status;
  std::optional<ResumeToken> token;  // after a failure: where to go on
};

// Until a stream has begun: before that nobody need be kept from the origin. io_error when none
// does; corrupt, unsupported when it is no stream.
Status await_stream(ByteInput& input, StreamReader& reader);

// A stream that is cut off leaves what came of it, to go on with, and so does one that is whole but
// for its snapshot, as when the name is taken; a bad one is undone.
// reader: as await_stream() has left it.
ReceiveOutcome receive_streams(ByteInput& input, StreamReader& reader, OriginTarget& target,
                               const std::function<void(std::uint64_t reached)>& progress);

}  // namespace csnap
