// SPDX-License-Identifier: Apache-2.0
// A request that may have to wait: for a block, a chunk that is about to change, a reader, a
// barrier, a commit. It runs as far as it can, leaves word with what it waits for, and is run
// again. Ownership: shared; its client (or the engine, for administration) keeps it until it has
// ended, and so does whoever will resume it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "server/engine_impl.h"
#include "store/status.h"
#include "store/types.h"

namespace csnap {

class Op : public std::enable_shared_from_this<Op> {
 public:
  explicit Op(Engine::Impl& engine) : engine_(engine) {}
  virtual ~Op() = default;
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  void run() {
    if (!ended_ && !blocked_) advance();
  }
  // Ends without having done its work. Tells the requester unless it is gone.
  void abandon(const Status& why, bool tell) {
    if (ended_) return;
    if (!tell) silent_ = true;
    fail(why);
  }

 protected:
  // As far as it goes. Ends by fail() or an answer of its own followed by end().
  virtual void advance() = 0;
  // Ends with an error; gives back what it holds.
  virtual void fail(const Status& status) = 0;
  void end();

  // What to hand to something that will happen once. Until then run() does nothing.
  std::function<void()> when_it_happens();
  // It will not happen after all. REQUIRES: what when_it_happens() returned was dropped.
  void unblock() { blocked_ = false; }
  void wait_for_block(const Status& miss);
  bool silent() const { return silent_; }

  Engine::Impl& engine_;
  bool ended_ = false;

 private:
  bool blocked_ = false;
  bool silent_ = false;
};

// What is said to those who ask for data that repair found gone.
Status lost_data(ChunkRun run, const std::string& snapshot);

// An op on ranges of a client's volume, with a cursor that goes through them.
class RangeOp : public Op {
 public:
  RangeOp(Engine::Impl& engine, ClientKey client, std::vector<ChunkRun> ranges)
      : Op(engine), client_(client), ranges_(std::move(ranges)) {
    rewind();
  }

 protected:
  void rewind() {
    index_ = 0;
    done_in_range_ = 0;
  }
  bool at_end() const { return index_ == ranges_.size(); }
  // What is left of the range under the cursor. REQUIRES: !at_end().
  ChunkRun rest() const {
    return {ranges_[index_].start + done_in_range_, ranges_[index_].count - done_in_range_};
  }
  void move(std::uint64_t chunks) {
    done_in_range_ += chunks;
    if (done_in_range_ == ranges_[index_].count) {
      ++index_;
      done_in_range_ = 0;
    }
  }
  // Finds the mapping under the cursor, of chunks that nobody is about to change. false: it waits
  // (or has failed).
  bool find_mapping(Mapping& mapping);
  // One change that this op has under way has ended.
  void changed(const Status& status);

  ClientKey client_;
  std::vector<ChunkRun> ranges_;
  std::uint64_t pending_ = 0;  // changes under way
  Status error_;               // of one of them

 private:
  std::size_t index_ = 0;
  std::uint64_t done_in_range_ = 0;
};

}  // namespace csnap
