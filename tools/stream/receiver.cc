// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/receiver.h"

#include <utility>

#include "proto/text.h"
#include "tools/stream/stream_applier.h"

namespace csnap {
namespace {

constexpr std::size_t kMaxMessage = 4096;  // bytes

// Does the failure say that the stream is of no use, however often it is sent?
bool stream_is_bad(const Status& status) {
  switch (status.code()) {
    case Code::corrupt:
    case Code::unsupported:
    case Code::invalid:
    case Code::out_of_range:
    case Code::not_found:
    case Code::exists:
    case Code::busy:
      return true;
    default:
      return false;
  }
}

// Names out of the stream are in it, which are any bytes, and somebody's log gets it.
Status cleaned(const Status& status) {
  return status.ok() ? status : Status(status.code(), clean_utf8(status.message(), kMaxMessage));
}

// false: the input has ended, where it may.
Result<bool> read_more(ByteInput& input, StreamReader& reader) {
  CSNAP_ASSIGN(const std::size_t n, input.read(reader.space()));
  reader.filled(n);
  if (n > 0) return true;
  if (reader.between_streams()) return false;
  return Status(Code::io_error, input.name() + ": the stream is cut off after byte " +
                                    std::to_string(reader.position()));
}

Status read_and_apply(ByteInput& input, StreamReader& reader, OriginTarget& target,
                      StreamApplier& applier, const std::function<void(std::uint64_t)>& progress) {
  for (bool more = true; more;) {
    CSNAP_TRY(applier.apply_all(reader));
    progress(target.reached());
    CSNAP_ASSIGN(more, read_more(input, reader));
  }
  return {};
}

}  // namespace

Status await_stream(ByteInput& input, StreamReader& reader) {
  for (;;) {
    CSNAP_ASSIGN(const bool ready, reader.ready());
    if (ready) return {};
    CSNAP_ASSIGN(const bool more, read_more(input, reader));
    if (!more) return Status(Code::io_error, input.name() + ": there is no stream");
  }
}

ReceiveOutcome receive_streams(ByteInput& input, StreamReader& reader, OriginTarget& target,
                               const std::function<void(std::uint64_t)>& progress) {
  ReceiveOutcome outcome;
  StreamApplier applier(target);
  outcome.status = cleaned(read_and_apply(input, reader, target, applier, progress));
  outcome.counts = applier.counts();
  outcome.bytes_in = input.taken();
  if (outcome.status.ok() || !applier.receiving()) return outcome;
  if (stream_is_bad(outcome.status) && !target.whole()) {
    if (const Status undone = target.roll_back(); !undone.ok())
      outcome.status = outcome.status.with_context("and the origin could not be brought back (" +
                                                   undone.message() + ")");
    return outcome;
  }
  if (const Status kept = target.keep(); kept.ok()) outcome.token = target.token();
  return outcome;
}

}  // namespace csnap
