// SPDX-License-Identifier: Apache-2.0
#include "store/replication_codec.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>

#include "store/replication_format.h"
#include "store/tables.h"
#include "store/utf8.h"

namespace csnap {
namespace {

Status wrong(const std::string& what) {
  return Status(Code::invalid, what);
}

Status check_receiving(const UnfinishedReceive& r) {
  CSNAP_TRY(check_snapshot_name(r.name));
  if (!r.path.empty()) CSNAP_TRY(check_stream_path(r.path));
  if (r.parent.has_value() != (r.parent_id != kOrigin))
    return wrong("an unfinished receive with half a parent");
  if (r.undone && r.resumable) return wrong("a receive that is undone and can be gone on with");
  return {};
}

template <std::size_t N>
void put_text(const std::string& from, char (&to)[N], U8& length) {
  assert(from.size() <= N);
  std::memcpy(to, from.data(), from.size());
  length.set(static_cast<std::uint8_t>(from.size()));
}

template <std::size_t N>
std::string take_text(const char (&from)[N], const U8& length) {
  return {from, std::min<std::size_t>(length.get(), N)};
}

Result<UnfinishedReceive> decode_receiving(const ReplicationDisk& disk) {
  if (disk.name_length.get() > sizeof disk.name || disk.path_length.get() > sizeof disk.path)
    return wrong("a name that is too long");
  UnfinishedReceive r;
  r.name = take_text(disk.name, disk.name_length);
  r.identity = decode_identity(disk.identity);
  if (disk.flags.get() & kReceivingChange) r.parent = decode_identity(disk.parent);
  r.parent_id = SnapshotId(disk.parent_id.get());
  r.path = take_text(disk.path, disk.path_length);
  r.offset = disk.offset.get();
  r.resumable = (disk.flags.get() & kReceivingResumable) != 0;
  r.undone = (disk.flags.get() & kReceivingUndone) != 0;
  return r;
}

Result<Replication> decode(const ReplicationDisk& disk) {
  Replication out;
  const auto role = static_cast<ReplicationRole>(disk.role.get());
  if (role > ReplicationRole::replica) return wrong("a role that there is not");
  out.role = role;
  if (disk.flags.get() > kReceivingFlags) return wrong("unknown flags");
  if (disk.flags.get() & kReceiving) {
    CSNAP_ASSIGN(out.receiving, decode_receiving(disk));
  }
  for (const ReplicaDisk& entry : disk.replicas) {
    Replica replica;
    std::memcpy(replica.store.bytes.data(), entry.store, sizeof entry.store);
    if (replica.store.is_nil()) continue;
    if (entry.address_length.get() > sizeof entry.address) return wrong("an address too long");
    replica.address = take_text(entry.address, entry.address_length);
    replica.snapshot = SnapshotId(entry.snapshot.get());
    replica.at_ns = entry.at.get();
    out.replicas.push_back(std::move(replica));
  }
  CSNAP_TRY(check_replication(out));
  return out;
}

}  // namespace

Status check_stream_path(std::string_view path) {
  if (path.empty() || path.size() > kMaxReceivedPath)
    return wrong("the volume's file in a stream has a name of 1 to " +
                 std::to_string(kMaxReceivedPath) + " bytes, folders included");
  if (!is_plain_utf8(path))
    return wrong("the volume's file in a stream has a name of UTF-8 without control characters");
  return {};
}

Status check_replica_address(std::string_view address) {
  if (!address.empty() && address.size() <= kMaxReplicaAddress && is_plain_utf8(address)) return {};
  return wrong("the address of a replica has 1 to " + std::to_string(kMaxReplicaAddress) +
               " bytes of UTF-8 without control characters");
}

Status too_many_replicas() {
  return {Code::no_space, "a store keeps account of " + std::to_string(kMaxReplicas) +
                              " replicas at most; csnap-admin replicate --forget takes one off it"};
}

Status check_replication(const Replication& replication) {
  if (replication.receiving) CSNAP_TRY(check_receiving(*replication.receiving));
  const auto& all = replication.replicas;
  if (all.size() > kMaxReplicas) return too_many_replicas();
  for (auto replica = all.begin(); replica != all.end(); ++replica) {
    if (replica->store.is_nil()) return wrong("a replica without a store");
    CSNAP_TRY(check_replica_address(replica->address));
    if (std::any_of(all.begin(), replica,
                    [&](const Replica& other) { return other.store == replica->store; }))
      return wrong("one replica twice");
  }
  return {};
}

void encode_identity(const StreamIdentity& identity, IdentityDisk& out) {
  std::memcpy(out.uuid, identity.uuid.bytes.data(), sizeof out.uuid);
  out.ctransid.set(identity.ctransid);
}

StreamIdentity decode_identity(const IdentityDisk& disk) {
  StreamIdentity identity;
  std::memcpy(identity.uuid.bytes.data(), disk.uuid, sizeof disk.uuid);
  identity.ctransid = disk.ctransid.get();
  return identity;
}

void encode_replication(const Replication& replication, std::span<std::byte> out) {
  assert(out.size() == kReplicationBytes && check_replication(replication).ok());
  std::ranges::fill(out, std::byte{0});
  auto& disk = view_as<ReplicationDisk>(out);
  disk.role.set(static_cast<std::uint8_t>(replication.role));
  if (const auto& r = replication.receiving) {
    disk.flags.set(static_cast<std::uint8_t>(kReceiving | (r->resumable ? kReceivingResumable : 0) |
                                             (r->undone ? kReceivingUndone : 0) |
                                             (r->parent ? kReceivingChange : 0)));
    put_text(r->name, disk.name, disk.name_length);
    put_text(r->path, disk.path, disk.path_length);
    encode_identity(r->identity, disk.identity);
    if (r->parent) encode_identity(*r->parent, disk.parent);
    disk.parent_id.set(r->parent_id.value);
    disk.offset.set(r->offset);
  }
  for (std::size_t i = 0; i < replication.replicas.size(); ++i) {
    const Replica& replica = replication.replicas[i];
    ReplicaDisk& entry = disk.replicas[i];
    std::memcpy(entry.store, replica.store.bytes.data(), sizeof entry.store);
    entry.snapshot.set(replica.snapshot.value);
    entry.at.set(replica.at_ns);
    put_text(replica.address, entry.address, entry.address_length);
  }
}

Result<Replication> decode_replication(std::span<const std::byte> bytes) {
  assert(bytes.size() == kReplicationBytes);
  auto out = decode(view_as<ReplicationDisk>(bytes));
  if (!out.ok()) return Status(Code::corrupt, "replication: " + out.status().message());
  std::array<std::byte, kReplicationBytes> again;
  encode_replication(*out, again);
  if (!std::ranges::equal(again, bytes))
    return Status(Code::corrupt, "replication: bytes that mean nothing are not zero");
  return out;
}

}  // namespace csnap
