// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/receiver.h"

#include <utility>

#include "tools/stream/stream_applier.h"
#include "tools/stream/stream_reader.h"

namespace csnap {
namespace {

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

Status read_and_apply(ByteInput& input, OriginTarget& target, StreamApplier& applier,
                      const std::function<void(std::uint64_t)>& progress) {
  StreamReader reader;
  for (;;) {
    CSNAP_TRY(applier.apply_all(reader));
    progress(target.reached());
    const auto read = input.read(reader.space());
    if (!read.ok()) return read.status();
    if (*read > 0) {
      reader.filled(*read);
      continue;
    }
    if (!reader.between_streams())
      return Status(Code::io_error, input.name() + ": the stream is cut off after byte " +
                                        std::to_string(reader.position()));
    if (applier.counts().snapshots == 0)
      return Status(Code::io_error, input.name() + ": there is no stream");
    return {};
  }
}

}  // namespace

ReceiveOutcome receive_streams(ByteInput& input, OriginTarget& target,
                               const std::function<void(std::uint64_t)>& progress) {
  ReceiveOutcome outcome;
  StreamApplier applier(target);
  outcome.status = read_and_apply(input, target, applier, progress);
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
