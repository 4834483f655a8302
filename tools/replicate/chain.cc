// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/chain.h"

#include <algorithm>

#include "tools/stream/find_identity.h"
#include "tools/stream/origin_target.h"
#include "tools/stream/sender.h"
#include "tools/stream/stream_format.h"

namespace csnap {
namespace {

using Entry = Admin::SnapshotEntry;

const Entry* find_live(const Admin::SnapshotList& list, const std::string& name) {
  for (const Entry& entry : list.snapshots)
    if (!entry.deleting && entry.name == name) return &entry;
  return nullptr;
}

// Theirs that is the very content of ours; null: none. One that was written to is none.
const Entry* find_there(const Admin::SnapshotList& theirs, const Entry& ours) {
  return ours.deleting || ours.written ? nullptr : find_identity(theirs, sent_as(ours));
}

const Entry* newest_common(const Admin::SnapshotList& ours, const Admin::SnapshotList& theirs) {
  const Entry* newest = nullptr;
  for (const Entry& entry : ours.snapshots)
    if (find_there(theirs, entry) && (!newest || entry.id > newest->id)) newest = &entry;
  return newest;
}

Status check_pair(const Admin::SnapshotList& ours, const Admin::SnapshotList& theirs,
                  const Replication& there) {
  if (ours.store == theirs.store)
    return Status(Code::invalid, "it is the very server that is to be replicated");
  if (ours.volume_size != theirs.volume_size)
    return Status(Code::invalid, "the volume there has " + std::to_string(theirs.volume_size) +
                                     " bytes, the one here " + std::to_string(ours.volume_size));
  if (there.role == ReplicationRole::primary)
    return Status(Code::denied,
                  "it is a primary, which nothing is received into; csnap-admin demote makes it a "
                  "replica");
  return {};
}

// What is there and no ancestor of what would come.
Status check_history(const Admin::SnapshotList& theirs, const Entry* common) {
  const Entry* newest = newest_live(theirs);
  if (!newest) return {};
  constexpr const char* kForce =
      "; --force has the origin there overwritten all the same, and leaves its snapshots";
  if (!common)
    return Status(Code::exists, "there are snapshots there, such as '" + newest->name +
                                    "', and none of them is one of ours" + kForce);
  const Entry* base = find_there(theirs, *common);
  if (newest->id == base->id) return {};
  return Status(Code::exists, "the newest snapshot there is '" + newest->name + "', later than '" +
                                  base->name + "', which is the last that both have" + kForce);
}

Status check_names(const Admin::SnapshotList& theirs, const std::vector<ChainStep>& steps) {
  for (const ChainStep& step : steps)
    if (find_live(theirs, step.snapshot.name))
      return Status(Code::exists, "there is another snapshot '" + step.snapshot.name + "' there; " +
                                      (step.snapshot.written
                                           ? "the one here was written to, so it is not that one; "
                                           : "") +
                                      "rename one of the two, or delete it");
  return {};
}

std::optional<ResumeToken> fitting_token(const Replication& there, const ChainStep& step) {
  const auto token = token_of(there.receiving);
  if (!token || step.snapshot.written || token->snapshot != sent_as(step.snapshot))
    return std::nullopt;
  const auto parent =
      step.parent ? std::optional(sent_as(*step.parent)) : std::optional<StreamIdentity>();
  return token->parent == parent ? token : std::nullopt;
}

// The receiver goes by what it called the volume before.
std::string file_of(const Chain& chain, const Admin::SnapshotList& theirs,
                    const Replication& there) {
  const ChainStep& first = chain.steps.front();
  const std::string& file = first.resume   ? there.receiving->path
                            : chain.common ? find_there(theirs, *chain.common)->received_path
                                           : first.snapshot.received_path;
  return file.empty() ? kVolumeFile : file;
}

}  // namespace

const Entry* newest_live(const Admin::SnapshotList& list) {
  const Entry* newest = nullptr;
  for (const Entry& entry : list.snapshots)
    if (!entry.deleting && (!newest || entry.id > newest->id)) newest = &entry;
  return newest;
}

Result<Chain> plan_chain(const Admin::SnapshotList& ours, const Admin::SnapshotList& theirs,
                         const Replication& there, const std::string& name, bool force) {
  const Entry* goal = find_live(ours, name);
  if (!goal) return Status(Code::not_found, "there is no snapshot '" + name + "'");
  CSNAP_TRY(check_pair(ours, theirs, there));
  Chain chain;
  const Entry* common = newest_common(ours, theirs);
  if (common) chain.common = *common;
  if (find_there(theirs, *goal)) return chain;
  if (common && common->id > goal->id)
    return Status(Code::invalid, "'" + name + "' is older than '" + common->name +
                                     "', which is there already; what is older cannot follow it");
  for (const Entry& entry : ours.snapshots)
    if (!entry.deleting && entry.id <= goal->id && (!common || entry.id > common->id))
      chain.steps.push_back({entry, std::nullopt, std::nullopt});
  std::ranges::sort(chain.steps, {}, [](const ChainStep& step) { return step.snapshot.id; });
  auto parent = chain.common;
  for (ChainStep& step : chain.steps) {
    step.parent = parent;
    parent = step.snapshot;
  }
  CSNAP_TRY(check_names(theirs, chain.steps));
  chain.steps.front().resume = fitting_token(there, chain.steps.front());
  chain.file = file_of(chain, theirs, there);
  // What was begun had been allowed.
  if (!force && !chain.steps.front().resume) CSNAP_TRY(check_history(theirs, common));
  return chain;
}

}  // namespace csnap
