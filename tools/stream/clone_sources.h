// SPDX-License-Identifier: Apache-2.0
// The snapshots that a stream clones from, opened when they are first asked for.
// Threading: one thread. Ownership: the volumes are its own. Errors: not_found, besides those of
// Volume::open().
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/csnap.h"
#include "store/stream_identity.h"

namespace csnap {

class CloneSources {
 public:
  explicit CloneSources(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {}

  // The volume lives until clear().
  Result<Volume*> open(const Admin::SnapshotList& list, const StreamIdentity& identity);
  // Is each of them still what the stream calls it? list: as the server says it now.
  Status check(const Admin::SnapshotList& list) const;
  bool empty() const { return volumes_.empty(); }
  void clear() { volumes_.clear(); }

 private:
  const std::vector<std::string> addresses_;
  std::map<StreamIdentity, std::unique_ptr<Volume>> volumes_;
};

}  // namespace csnap
