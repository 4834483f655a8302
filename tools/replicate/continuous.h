// SPDX-License-Identifier: Apache-2.0
// Replication that goes on: again and again a snapshot is made and brought to the other server, and
// old ones of that kind are deleted on both sides. Whichever of the two goes away is waited for.
//
// Each side keeps the newest that both have, whatever else it deletes, and the newest that each
// replica has which it knows of.
// Threading: one thread; calls block.
#pragma once

#include <chrono>
#include <cstddef>
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

  // One round. make: begins with a new snapshot. denied: our server is a replica itself, of which
  // nothing is made. Errors besides: those of Replicator.
  Status round(bool make);
  // Until it is told to stop.
  void run(const StopSignal& stop);

 private:
  Result<std::string> make_snapshot(Admin& ours);
  Status delete_outdated_here(Admin& ours);
  // What cannot be is told once.
  Status delete_outdated_there();

  const std::vector<std::string> addresses_;
  const std::string to_;
  const ContinuousOptions options_;
  ReplicationReport& report_;
  Replicator replicator_;
  bool force_;
  bool made_ = false;  // in the last round
  bool denial_told_ = false;
};

}  // namespace csnap
