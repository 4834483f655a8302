// SPDX-License-Identifier: Apache-2.0
// Brings another server up to a snapshot of ours: what it lacks goes there, one after the other,
// and what has arrived is put on record at our server.
// Threading: one thread but for hold(); calls block.
// Errors: those of plan_chain(), of both servers, of the receiver. What had come is kept there.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/csnap.h"
#include "store/status.h"
#include "tools/replicate/chain.h"
#include "tools/stream/byte_output.h"

namespace csnap {

struct ReplicatorOptions {
  std::vector<std::string> addresses;  // of our server
  std::string to;                      // the other one's
  OutputOptions output;
  std::function<bool()> stop;  // true: cut it off. May be empty
};

struct SentSnapshot {
  std::string name;
  std::string parent;            // empty: all of it was sent
  std::uint64_t from = 0;        // bytes of the volume that had been there before
  std::uint64_t data_bytes = 0;  // of the volume
  std::uint64_t written = 0;     // bytes that went out
};

// Threading: any thread.
class ReplicationReport {
 public:
  virtual ~ReplicationReport() = default;
  // done of all: bytes that are read of the snapshot.
  virtual void progress(const std::string& name, std::uint64_t done, std::uint64_t all) = 0;
  virtual void sent(const SentSnapshot& snapshot) = 0;
  virtual void created(const std::string& name) = 0;
  virtual void deleted(const std::string& name, bool there) = 0;
  // Continuous: it does not work, or does again.
  virtual void failing(const Status& status) = 0;
  virtual void going_on() = 0;
  // Continuous: what has grown old there must be deleted there, as it may not be from here.
  virtual void cannot_delete(const Status& status) = 0;
};

class Replicator {
 public:
  Replicator(ReplicatorOptions options, ReplicationReport& report)
      : options_(std::move(options)), report_(report) {}

  // Up to the snapshot `name`. ours: of our server, connected. force: an origin there that was
  // written to, or came from elsewhere, is overwritten. busy: it stays so for seconds.
  Status bring(Admin& ours, const std::string& name, bool force);
  // The next one on the way to a goal, which is chosen of those that are here then. Whether there
  // are more.
  using Goal = std::function<std::string(const Admin::SnapshotList& ours)>;
  Result<bool> bring_next(Admin& ours, const Goal& goal, bool force);
  // While it is held nothing new is begun. What is under way, and from what it begins, is what
  // needed_for_streams() says of what our server has on record then. Any thread.
  std::unique_lock<std::mutex> hold() { return std::unique_lock(beginning_); }

 private:
  Result<bool> try_to_bring_next(Admin& ours, const Goal& goal, bool force);
  Status send(Admin& ours, const ChainStep& step, const std::string& file, bool force);
  Status record(Admin& ours, const Uuid& store, const Admin::SnapshotEntry& arrived);
  Status make_room(Admin& ours, const Uuid& store);

  std::mutex beginning_;
  const ReplicatorOptions options_;
  ReplicationReport& report_;
};

// The other server, as whoever may observe it sees it.
struct OtherServer {
  Replication replication;
  Admin::SnapshotList list;
};
Result<OtherServer> look_at(const std::string& address);
std::uint64_t wall_clock_ns();

}  // namespace csnap
