// SPDX-License-Identifier: Apache-2.0
// Sends a snapshot to another server, and learns what became of it there.
// Threading: one thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <functional>
#include <optional>

#include "client/stream_connection.h"
#include "store/status.h"
#include "tools/stream/byte_output.h"
#include "tools/stream/identity.h"
#include "tools/stream/sender.h"

namespace csnap {

struct DeliveryOptions {
  StreamOptions to;
  OutputOptions output;
  std::function<bool()> stop;  // asked between two writes: true cuts the stream off. May be empty
};

struct Delivery {
  Status status;                     // ok: it is a snapshot there. The other side's failure if both
                                     // failed, for it is why nothing more was taken
  std::optional<ResumeToken> token;  // after a failure: where to go on
  boost::json::object answer;        // what the receiver said; empty: nothing
  std::uint64_t written = 0;         // bytes that went out
};

// progress: bytes read so far.
Delivery deliver(Sender& sender, const DeliveryOptions& options,
                 const Sender::ProgressFunction& progress);

}  // namespace csnap
