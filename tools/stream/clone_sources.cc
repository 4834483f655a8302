// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/clone_sources.h"

#include <utility>

#include "tools/stream/find_identity.h"

namespace csnap {

Result<Volume*> CloneSources::open(const Admin::SnapshotList& list,
                                   const StreamIdentity& identity) {
  const auto found = require_identity(list, identity);
  if (!found.ok())
    return Status(Code::not_found, "the stream clones from a snapshot that is not to be had: " +
                                       found.status().message());
  if (const auto known = volumes_.find(identity); known != volumes_.end())
    return known->second.get();
  OpenOptions options;
  options.addresses = addresses_;
  options.volume_id = (*found)->id;
  options.read_only = true;
  CSNAP_ASSIGN(auto volume, Volume::open(options));
  return volumes_.emplace(identity, std::move(volume)).first->second.get();
}

Status CloneSources::check(const Admin::SnapshotList& list) const {
  for (const auto& [identity, volume] : volumes_) {
    const auto* found = find_identity(list, identity);
    if (found == nullptr || found->id != volume->id())
      return Status(Code::not_found, "'" + volume->name() +
                                         "', from which the stream clones, was " +
                                         "written to or deleted meanwhile");
  }
  return {};
}

}  // namespace csnap
