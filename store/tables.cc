// SPDX-License-Identifier: Apache-2.0
#include "store/tables.h"

#include <algorithm>
#include <cassert>

#include "store/replication_codec.h"
#include "store/utf8.h"

namespace csnap {

Status check_snapshot_name(std::string_view name) {
  const auto refuse = [](const std::string& why) {
    return Status(Code::invalid, "this cannot be the name of a snapshot: " + why);
  };
  if (name.empty()) return refuse("it is empty");
  if (name.size() > kMaxSnapshotName) return refuse("it is longer than 64 bytes");
  if (!is_plain_utf8(name)) return refuse("it is not UTF-8 without control characters");
  if (name.find('/') != std::string_view::npos) return refuse("it has a slash in it");
  if (name == "." || name == "..") return refuse("'.' and '..' are directories");
  if (name == "origin") return refuse("'origin' names the origin");
  return {};
}

ShareMask SnapshotTable::active() const {
  ShareMask mask = 0;
  for (const Snapshot& s : snapshots_)
    if (!s.deleting) mask |= mask_of_bit(s.bit);
  return mask;
}

ShareMask SnapshotTable::deleting() const {
  ShareMask mask = 0;
  for (const Snapshot& s : snapshots_)
    if (s.deleting) mask |= mask_of_bit(s.bit);
  return mask;
}

Snapshot* SnapshotTable::find(SnapshotId id) {
  const auto i = std::find_if(snapshots_.begin(), snapshots_.end(),
                              [&](const Snapshot& s) { return s.id == id; });
  return i == snapshots_.end() ? nullptr : &*i;
}

Snapshot* SnapshotTable::find_live(std::string_view name) {
  const auto i = std::find_if(snapshots_.begin(), snapshots_.end(),
                              [&](const Snapshot& s) { return !s.deleting && s.name == name; });
  return i == snapshots_.end() ? nullptr : &*i;
}

const Snapshot* SnapshotTable::find_live(SnapshotId id) const {
  for (const Snapshot& s : snapshots_)
    if (s.id == id && !s.deleting) return &s;
  return nullptr;
}

const Snapshot* SnapshotTable::find_bit(unsigned bit) const {
  for (const Snapshot& s : snapshots_)
    if (s.bit == bit) return &s;
  return nullptr;
}

std::optional<unsigned> SnapshotTable::free_bit() const {
  const ShareMask taken = active() | deleting();
  for (unsigned bit = 0; bit < kMaxSnapshots; ++bit)
    if (!(taken & mask_of_bit(bit))) return bit;
  return std::nullopt;
}

Status SnapshotTable::add(Snapshot snapshot) {
  CSNAP_TRY(check_snapshot_name(snapshot.name));
  if (snapshot.id == kOrigin || snapshot.bit >= kMaxSnapshots)
    return Status(Code::invalid, "no snapshot has this id or bit");
  if (snapshots_.size() >= kMaxSnapshots)
    return Status(Code::no_space, "there are 64 snapshots already (those being deleted count)");
  if (!snapshot.deleting && find_live(snapshot.name))
    return Status(Code::exists, "there is a snapshot '" + snapshot.name + "' already");
  if (find(snapshot.id) || find_bit(snapshot.bit))
    return Status(Code::exists, "snapshot id " + std::to_string(snapshot.id.value) + " or bit " +
                                    std::to_string(snapshot.bit) + " is taken");
  if (snapshot.transid == 0) snapshot.transid = snapshot.id.value;
  const auto place = std::find_if(snapshots_.begin(), snapshots_.end(),
                                  [&](const Snapshot& s) { return s.id > snapshot.id; });
  snapshots_.insert(place, std::move(snapshot));
  return {};
}

Status SnapshotTable::rename(SnapshotId id, std::string_view name) {
  CSNAP_TRY(check_snapshot_name(name));
  CSNAP_ASSIGN(Snapshot * snapshot, get_live(id));
  const Snapshot* other = find_live(name);
  if (other && other != snapshot)
    return Status(Code::exists, "there is a snapshot '" + std::string(name) + "' already");
  snapshot->name = name;
  return {};
}

Result<Snapshot*> SnapshotTable::get_live(SnapshotId id) {
  Snapshot* snapshot = find(id);
  if (!snapshot || snapshot->deleting) return Status(Code::stale, "the snapshot is gone");
  return snapshot;
}

Status SnapshotTable::set_received(SnapshotId id, Snapshot::Received received) {
  CSNAP_TRY(check_stream_path(received.path));
  CSNAP_ASSIGN(Snapshot * snapshot, get_live(id));
  snapshot->received = std::move(received);
  return {};
}

Status SnapshotTable::set_written(SnapshotId id) {
  CSNAP_ASSIGN(Snapshot * snapshot, get_live(id));
  snapshot->written = true;
  snapshot->received.reset();
  return {};
}

Status SnapshotTable::seal(SnapshotId id, std::uint64_t transid) {
  CSNAP_ASSIGN(Snapshot * snapshot, get_live(id));
  if (transid <= snapshot->transid) return Status(Code::invalid, "transids grow");
  snapshot->written = false;
  snapshot->transid = transid;
  return {};
}

Status SnapshotTable::start_deletion(SnapshotId id) {
  CSNAP_ASSIGN(Snapshot * snapshot, get_live(id));
  snapshot->deleting = true;
  snapshot->deleted_up_to = Chunk(0);
  return {};
}

Status SnapshotTable::remove(SnapshotId id) {
  if (!find(id)) return Status(Code::stale, "the snapshot is gone");
  std::erase_if(snapshots_, [&](const Snapshot& s) { return s.id == id; });
  return {};
}

ClientEntry* ClientTable::find(const Uuid& id) {
  const auto i = std::find_if(clients_.begin(), clients_.end(),
                              [&](const ClientEntry& c) { return c.id == id; });
  return i == clients_.end() ? nullptr : &*i;
}

Status ClientTable::add(ClientEntry entry) {
  if (entry.id.is_nil()) return Status(Code::invalid, "a session without an id");
  if (find(entry.id)) return Status(Code::exists, "session " + entry.id.to_string() + " exists");
  if (clients_.size() >= capacity_)
    return Status(Code::no_space, "the store has room for " + std::to_string(capacity_) +
                                      " sessions, and they are all in use");
  clients_.push_back(entry);
  return {};
}

Status ClientTable::remove(const Uuid& id) {
  if (std::erase_if(clients_, [&](const ClientEntry& c) { return c.id == id; }) == 0)
    return Status(Code::not_found, "there is no session " + id.to_string());
  return {};
}

}  // namespace csnap
