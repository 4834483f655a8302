// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/delivery.h"

#include <chrono>
#include <utility>

#include "tools/stream/answer.h"

namespace csnap {
namespace {

// For the receiver's answer. To keep what came takes it a moment; to make a snapshot, as long as
// the origin's clients there take for that.
constexpr std::chrono::seconds kUntilItEnds{0};
constexpr std::chrono::seconds kAfterFailure{10};

}  // namespace

Delivery deliver(Sender& sender, const DeliveryOptions& options,
                 const Sender::ProgressFunction& progress) {
  Delivery delivery;
  const auto opened = StreamConnection::open(options.to);
  if (!opened.ok()) {
    delivery.status = opened.status();
    return delivery;
  }
  StreamConnection& connection = **opened;
  bool stopped = false;
  const auto sink = [&](std::span<const std::byte> bytes) {
    stopped = options.stop && options.stop();
    return stopped ? Status(Code::cancelled, "stopped") : connection.write(bytes);
  };
  ByteOutput output(sink, options.output);
  std::uint64_t done = 0;
  const Status sent = sender.send(output, [&](std::uint64_t bytes) { progress(done += bytes); });
  delivery.written = output.written();
  // What write() says when the other side has ended; that knows why.
  const bool ours = stopped || (!sent.ok() && sent.code() != Code::cancelled);
  static_cast<void>(connection.finish_sending());  // then there is no answer either
  const auto text = connection.read_reply(sent.ok() ? kUntilItEnds : kAfterFailure);
  const auto answer = text.ok() ? parse_stream_answer(*text) : text.status();
  delivery.status = sent;
  if (answer.ok()) {
    delivery.token = answer->token;
    delivery.answer = answer->document;
  }
  if (ours) return delivery;
  const Status& theirs = answer.ok() ? answer->status : answer.status();
  if (!theirs.ok())
    delivery.status = answer.ok() ? theirs.with_context(options.to.addresses.front()) : theirs;
  return delivery;
}

}  // namespace csnap
