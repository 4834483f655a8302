// SPDX-License-Identifier: Apache-2.0
#include "server/op.h"

#include <algorithm>

namespace csnap {

void Op::end() {
  ended_ = true;
}

std::function<void()> Op::when_it_happens() {
  blocked_ = true;
  return [self = shared_from_this()] {
    self->blocked_ = false;
    self->run();
  };
}

void Op::wait_for_block(const Status& miss) {
  auto resume = when_it_happens();
  engine_.state->cache().fetch(
      BlockAddress(miss.detail()),
      [this, self = shared_from_this(), resume = std::move(resume)](const Status& status) {
        if (status.ok() || ended_)
          engine_.later(resume);
        else
          fail(status);
      });
}

Status lost_data(ChunkRun run, const std::string& snapshot) {
  return Status(Code::lost, "chunks " + std::to_string(run.start.value) + " to " +
                                std::to_string(run.end().value - 1) + " of snapshot " + snapshot +
                                " were lost to damage; overwriting whole chunks makes them "
                                "readable again");
}

bool RangeOp::find_mapping(Mapping& mapping) {
  ChunkRun run = rest();
  if (!engine_.busy.empty()) {
    if (const auto busy = engine_.busy.find(run)) {
      if (busy->start <= run.start) {
        if (const Status& failure = engine_.committer->failure(); !failure.ok()) {
          fail(failure);
          return false;
        }
        engine_.busy.wait(*busy, when_it_happens());
        return false;
      }
      run.count = busy->start - run.start;
    }
  }
  const Status found = engine_.state->tree().lookup(run.start, run.count, mapping);
  if (found.ok()) return true;
  if (found.code() == Code::need_block)
    wait_for_block(found);
  else
    fail(found);
  return false;
}

void RangeOp::changed(const Status& status) {
  --pending_;
  if (!status.ok() && error_.ok()) error_ = status;
  engine_.later([self = shared_from_this()] { self->run(); });
}

}  // namespace csnap
