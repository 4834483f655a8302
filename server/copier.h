// SPDX-License-Identifier: Apache-2.0
// Copies chunks to new places in the store. Requests collected during a turn are sorted, given
// neighbouring places, and merged into transfers of up to 1 MiB; each transfer is one read and one
// write. The checksum of every chunk is taken between the two, and what comes from the store is
// compared with the one it has. A transfer that fails is tried again job by job, so that one bad
// sector is the error of those only who asked for it.
//
// Memory is bounded: transfers beyond it wait for one to finish.
// Threading: the engine's thread. done() runs from start() or a device completion; until then the
// destination is reserved, and afterwards as well if the copy went well: the caller unreserves it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "server/engine.h"
#include "server/store_state.h"
#include "store/aligned_buffer.h"
#include "store/device.h"
#include "store/types.h"

namespace csnap {

struct Copied {
  StoreRun store;
  std::vector<std::uint32_t> crcs;  // one a chunk, none zero
  ClientKey pool_of = 0;            // the place is of this client's pool, not reserved
};

struct CopyJob {
  ChunkRun chunks;          // at most kMaxRecordRun, and at most kMaxTransfer bytes
  bool from_origin = true;  // at the same place; otherwise from `from` on
  StoreChunk from;
  bool verify_only = false;  // from the store: only compare the data with its checksums
  // A job may be cut to what could be placed in one piece: copied.store.count says how much of the
  // front was done. The rest is the caller's to ask for again.
  std::function<void(Result<Copied>)> done;
  bool alone = false;  // the copier's own: it failed together with others
};

// The chunk of the origin or of the store that a job copies first.
std::uint64_t source_of(const CopyJob& job);
// An order in which neighbours, of which one transfer is made, come one after another.
bool copied_in_order(const CopyJob& a, const CopyJob& b);
// Takes out the jobs from `first` on for the next `count` chunks; the last may be cut to that.
std::vector<CopyJob> take_jobs(std::vector<CopyJob>& jobs, std::size_t& first, std::uint64_t count);

class Copier {
 public:
  static constexpr std::uint64_t kMaxTransfer = 1u << 20;  // bytes

  Copier(StoreState& state, Device& origin, Device& store, std::size_t memory);

  // Chunks that one job may have.
  std::uint64_t max_job_chunks() const;
  // Chunks that the jobs from `first` on copy in one transfer.
  std::uint64_t chunks_together(const std::vector<CopyJob>& jobs, std::size_t first) const;
  void add(CopyJob job) { wanted_.push_back(std::move(job)); }
  // Places and starts what was added. Once a turn. pending_units: changes on their way that may
  // each need metadata blocks, for which room is kept.
  void start(std::uint64_t pending_units);
  bool idle() const { return wanted_.empty() && queued_.empty() && transfers_ == 0; }
  std::uint64_t copied_chunks() const { return copied_chunks_; }

 private:
  struct Transfer {
    bool from_origin = true;
    bool verify_only = false;
    std::uint64_t from = 0;     // chunk, of the origin or of the store
    std::uint64_t count = 0;    // chunks
    StoreRun to;                // unless verify_only
    std::vector<CopyJob> jobs;  // in order, their lengths sum to count
    AlignedBuffer buffer;
  };
  using TransferPtr = std::shared_ptr<Transfer>;

  bool place(std::vector<CopyJob>& jobs, std::size_t& first, std::uint64_t leave);
  void queue(std::vector<CopyJob>& jobs, std::size_t& first, StoreRun to, std::uint64_t count);
  void run_queue();
  void read(const TransferPtr& t);
  void arrived(const TransferPtr& t, const Status& read_status);
  void verify(const TransferPtr& t, std::vector<std::uint32_t> crcs);
  Status compare(const Transfer& t, const std::vector<std::uint32_t>& crcs);
  void write(const TransferPtr& t, std::vector<std::uint32_t> crcs);
  void finish(const TransferPtr& t, const Status& status, std::vector<std::uint32_t> crcs);
  AlignedBuffer take_buffer(std::size_t bytes);
  void give_buffer(AlignedBuffer buffer);

  StoreState& state_;
  Device& origin_;
  Device& store_;
  std::size_t memory_left_;
  std::vector<CopyJob> wanted_;
  bool waiting_for_block_ = false;
  std::deque<TransferPtr> queued_;                           // placed, waiting for memory
  std::uint64_t transfers_ = 0;                              // in flight
  std::map<std::size_t, std::vector<AlignedBuffer>> spare_;  // by size
  std::uint64_t copied_chunks_ = 0;
};

}  // namespace csnap
