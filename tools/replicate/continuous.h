// SPDX-License-Identifier: Apache-2.0
// Replication that goes on: again and again a snapshot is made and what there is is brought to the
// other server, and old ones of that kind are deleted on both sides. Whichever of the two goes away
// is waited for.
//
// Each side keeps what streams begin from, and ours what is sent next or is being sent, whatever
// else it deletes.
// Threading: one thread calls; calls block. run() has one more, which sends: snapshots are made on
// time meanwhile.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "store/status.h"
#include "tools/replicate/replicator.h"
#include "tools/replicate/stop.h"

namespace csnap {

struct ContinuousOptions {
  std::chrono::seconds every{0};
  std::size_t keep = 8;  // of the newest
  std::string prefix = "replica-";
  bool force = false;  // until it has worked once
};

class ContinuousReplication {
 public:
  ContinuousReplication(ReplicatorOptions replicator, ContinuousOptions options,
                        ReplicationReport& report)
      : addresses_(replicator.addresses),
        to_(replicator.to),
        options_(std::move(options)),
        report_(report),
        replicator_(std::move(replicator), report),
        force_(options_.force) {}

  // Makes a snapshot, unless our server is a replica itself, and brings what there is. denied: the
  // other one is the primary; no_space: none can be made, and what there was has been brought.
  // Errors besides: those of Replicator.
  Status once();
  // Until it is told to stop.
  void run(const StopSignal& stop);

 private:
  using Clock = std::chrono::steady_clock;
  // What may fail for itself.
  enum Part : std::size_t { making, sending };

  struct Here {
    std::unique_ptr<Admin> admin;
    bool replica = false;  // then nothing is made, and what comes is passed on
  };
  Result<Here> connect_here() const;
  Status check_passing_on() const;
  // false: nothing is known of what is there.
  Result<bool> is_replica_of(Admin& ours) const;
  Status check_other(const Admin::SnapshotList& ours);
  Status make(Admin& ours, const Admin::SnapshotList& list);
  // due: none before our server has said when the last one was made.
  Status make_if_due(std::optional<Clock::time_point>& due);
  Status bring();
  void send_until(const StopSignal& stop);
  void wake_sender();
  Status delete_outdated_here(Admin& ours);
  // What cannot be is told once.
  Status delete_outdated_there();
  // Told when it changes, and but once what keeps both from working.
  void tell(Part part, const Status& status);

  const std::vector<std::string> addresses_;
  const std::string to_;
  const ContinuousOptions options_;
  ReplicationReport& report_;
  Replicator replicator_;
  // Of who makes.
  bool other_checked_ = false;
  // Of who sends.
  bool force_;
  bool denial_told_ = false;

  std::mutex mutex_;  // of what follows
  std::condition_variable changed_;
  bool more_ = false;    // to be sent, perhaps, or it is the end
  std::string told_[2];  // why a part does not work
};

}  // namespace csnap
