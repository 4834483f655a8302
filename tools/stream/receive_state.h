// SPDX-License-Identifier: Apache-2.0
// What a server's receiver must not forget: which snapshots here are which of the sender's, and how
// far a receive had come that was cut off. A small JSON file, written anew as a whole each time and
// durable when save() returns; locked while the object lives.
// Threading: one thread. Errors: corrupt for a file that says nonsense; invalid for that of another
// store; busy when another receive has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/admin.h"
#include "tools/stream/identity.h"

namespace csnap {

struct ReceivedSnapshot {
  std::uint64_t id = 0;  // here
  Uuid uuid;             // here
  StreamIdentity identity;
  std::string path;  // of the file, in the stream
};

struct UnfinishedReceive {
  std::string name;
  StreamIdentity identity;
  std::optional<StreamIdentity> parent;  // none: full
  std::uint64_t parent_id = 0;           // here; 0: none
  std::string path;                      // of the file; empty: not known yet
  std::uint64_t offset = 0;              // all below it is there, durably
  bool resumable = false;
  // All is there and the snapshot is being made; ids from here on were not given before.
  std::optional<std::uint64_t> making;
};

class ReceiveState {
 public:
  // A file that does not exist is an empty state.
  static Result<ReceiveState> open(const std::string& path, const Uuid& store);
  // Where it is when nobody says: one for each store.
  static std::string default_path(const Uuid& store);
  ReceiveState(ReceiveState&& other) noexcept;
  ReceiveState& operator=(ReceiveState&&) = delete;
  ~ReceiveState();

  std::vector<ReceivedSnapshot> received;
  std::optional<UnfinishedReceive> unfinished;

  Status save();
  const std::string& path() const { return path_; }
  // Takes notice of what happened since: a snapshot that was made although nobody could write it
  // down, and those that are no more.
  Status reconcile(const Admin::SnapshotList& list);

 private:
  ReceiveState(std::string path, const Uuid& store, int lock)
      : path_(std::move(path)), store_(store), lock_(lock) {}
  Status load(const std::string& text);

  std::string path_;
  Uuid store_;
  int lock_ = -1;
};

}  // namespace csnap
