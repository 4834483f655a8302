// SPDX-License-Identifier: Apache-2.0
#include "journal/records.h"

#include <cassert>
#include <cstring>
#include <type_traits>
#include <utility>

#include "journal/journal_format.h"
#include "store/replication_codec.h"
#include "store/tables.h"

namespace csnap {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

// Appends a zeroed T and what follows it, for the caller to fill in. Valid until out changes.
template <class T>
std::span<std::byte> grow(std::vector<std::byte>& out, RecordType type, std::size_t extra = 0) {
  const std::size_t at = out.size();
  out.resize(at + sizeof(T) + extra);
  auto bytes = std::span(out).subspan(at);
  bytes[0] = static_cast<std::byte>(type);
  return bytes;
}

template <class R>
void put_run(DiskRun& to, const R& run) {
  assert(run.count > 0 && run_fits(run.start.value, run.count));
  to.start.set(run.start.value);
  to.count_minus_1.set(run.count - 1);
}

void put_uuid(std::uint8_t (&to)[16], const Uuid& uuid) {
  std::memcpy(to, uuid.bytes.data(), sizeof to);
}

void put_name(std::span<std::byte> to, const std::string& name) {
  assert(check_snapshot_name(name).ok() && to.size() == name.size());
  std::memcpy(to.data(), name.data(), name.size());
}

void put(const ExceptionAdded& r, std::vector<std::byte>& out) {
  const std::size_t count = r.crcs.size();
  assert(count > 0 && count <= kMaxRecordRun && r.mask != 0);
  assert(run_fits(r.chunk.value, count) && run_fits(r.store.value, count));
  const auto bytes =
      grow<DiskExceptionAdded>(out, RecordType::exception_added, count * sizeof(Le32));
  auto& d = view_as<DiskExceptionAdded>(bytes);
  d.count_minus_1.set(static_cast<std::uint8_t>(count - 1));
  d.chunk.set(r.chunk.value);
  d.store.set(r.store.value);
  d.mask.set(r.mask);
  auto to = bytes.subspan(sizeof d);
  for (const std::uint32_t crc : r.crcs) {
    assert(crc != 0);
    view_as<Le32>(to).set(crc);
    to = to.subspan(sizeof(Le32));
  }
}

void put(const SharesCleared& r, std::vector<std::byte>& out) {
  assert(r.bits != 0);
  auto& d = view_as<DiskSharesCleared>(grow<DiskSharesCleared>(out, RecordType::shares_cleared));
  put_run(d.chunks, r.chunks);
  d.bits.set(r.bits);
}

void put(const DataMutable& r, std::vector<std::byte>& out) {
  put_run(view_as<DiskDataMutable>(grow<DiskDataMutable>(out, RecordType::data_mutable)).run,
          r.run);
}

void put(const SnapshotCreated& r, std::vector<std::byte>& out) {
  assert(r.id != kOrigin && r.bit < kMaxSnapshots);
  const auto bytes = grow<DiskSnapshotCreated>(out, RecordType::snapshot_created, r.name.size());
  auto& d = view_as<DiskSnapshotCreated>(bytes);
  d.bit.set(r.bit);
  d.id.set(r.id.value);
  put_uuid(d.uuid, r.uuid);
  d.created.set(r.created);
  d.name_bytes.set(static_cast<std::uint8_t>(r.name.size()));
  put_name(bytes.subspan(sizeof d), r.name);
}

void put(const SnapshotRenamed& r, std::vector<std::byte>& out) {
  assert(r.id != kOrigin);
  const auto bytes = grow<DiskSnapshotRenamed>(out, RecordType::snapshot_renamed, r.name.size());
  auto& d = view_as<DiskSnapshotRenamed>(bytes);
  d.id.set(r.id.value);
  d.name_bytes.set(static_cast<std::uint8_t>(r.name.size()));
  put_name(bytes.subspan(sizeof d), r.name);
}

void put_snapshot_only(RecordType type, SnapshotId id, std::vector<std::byte>& out) {
  assert(id != kOrigin);
  view_as<DiskSnapshotOnly>(grow<DiskSnapshotOnly>(out, type)).id.set(id.value);
}
void put(const SnapshotDeleted& r, std::vector<std::byte>& out) {
  put_snapshot_only(RecordType::snapshot_deleted, r.id, out);
}
void put(const DeletionFinished& r, std::vector<std::byte>& out) {
  put_snapshot_only(RecordType::deletion_finished, r.id, out);
}

void put(const DeletionProgress& r, std::vector<std::byte>& out) {
  assert(r.id != kOrigin);
  auto& d =
      view_as<DiskDeletionProgress>(grow<DiskDeletionProgress>(out, RecordType::deletion_progress));
  d.id.set(r.id.value);
  put_run(d.chunks, r.chunks);
}

void put(const ClientOpened& r, std::vector<std::byte>& out) {
  auto& d = view_as<DiskClientOpened>(grow<DiskClientOpened>(out, RecordType::client_opened));
  put_uuid(d.id, r.id);
  d.volume.set(r.volume.value);
}

void put(const ClientClosed& r, std::vector<std::byte>& out) {
  put_uuid(view_as<DiskClientClosed>(grow<DiskClientClosed>(out, RecordType::client_closed)).id,
           r.id);
}

void put(const ClientPool& r, std::vector<std::byte>& out) {
  assert(r.slot < kMaxPools && r.run.count < kMaxChunks && r.run.start.value < kMaxChunks &&
         run_fits(r.run.start.value, r.run.count));
  auto& d = view_as<DiskClientPool>(grow<DiskClientPool>(out, RecordType::client_pool));
  put_uuid(d.id, r.id);
  d.slot.set(r.slot);
  d.start.set(r.run.start.value);
  d.count.set(r.run.count);
}

void put(const ServerStarted& r, std::vector<std::byte>& out) {
  view_as<DiskServerStarted>(grow<DiskServerStarted>(out, RecordType::server_started))
      .epoch.set(r.epoch.value);
}

void put(const SnapshotWritten& r, std::vector<std::byte>& out) {
  put_snapshot_only(RecordType::snapshot_written, r.id, out);
}

void put(const SnapshotSealed& r, std::vector<std::byte>& out) {
  assert(r.id != kOrigin && r.transid != 0);
  auto& d = view_as<DiskSnapshotSealed>(grow<DiskSnapshotSealed>(out, RecordType::snapshot_sealed));
  d.id.set(r.id.value);
  d.transid.set(r.transid);
}

void put(const SnapshotReceived& r, std::vector<std::byte>& out) {
  const std::string& path = r.received.path;
  assert(r.id != kOrigin && check_stream_path(path).ok());
  const auto bytes = grow<DiskSnapshotReceived>(out, RecordType::snapshot_received, path.size());
  auto& d = view_as<DiskSnapshotReceived>(bytes);
  d.id.set(r.id.value);
  encode_identity(r.received.identity, d.identity);
  d.path_bytes.set(static_cast<std::uint8_t>(path.size()));
  std::memcpy(bytes.subspan(sizeof d).data(), path.data(), path.size());
}

void put(const ReplicationChanged& r, std::vector<std::byte>& out) {
  const auto bytes = grow<DiskReplicationChanged>(out, RecordType::replication_changed);
  encode_replication(r.replication, bytes.subspan(offsetof(DiskReplicationChanged, replication)));
}

}  // namespace

void encode_record(const Record& record, std::vector<std::byte>& out) {
  std::visit([&out](const auto& r) { put(r, out); }, record);
}

std::size_t encoded_size(const Record& record) {
  return std::visit(
      Overloaded{
          [](const ExceptionAdded& r) {
            return sizeof(DiskExceptionAdded) + r.crcs.size() * sizeof(Le32);
          },
          [](const SharesCleared&) { return sizeof(DiskSharesCleared); },
          [](const DataMutable&) { return sizeof(DiskDataMutable); },
          [](const SnapshotCreated& r) { return sizeof(DiskSnapshotCreated) + r.name.size(); },
          [](const SnapshotRenamed& r) { return sizeof(DiskSnapshotRenamed) + r.name.size(); },
          [](const SnapshotDeleted&) { return sizeof(DiskSnapshotOnly); },
          [](const DeletionProgress&) { return sizeof(DiskDeletionProgress); },
          [](const DeletionFinished&) { return sizeof(DiskSnapshotOnly); },
          [](const ClientOpened&) { return sizeof(DiskClientOpened); },
          [](const ClientClosed&) { return sizeof(DiskClientClosed); },
          [](const ClientPool&) { return sizeof(DiskClientPool); },
          [](const ServerStarted&) { return sizeof(DiskServerStarted); },
          [](const SnapshotWritten&) { return sizeof(DiskSnapshotOnly); },
          [](const SnapshotSealed&) { return sizeof(DiskSnapshotSealed); },
          [](const SnapshotReceived& r) {
            return sizeof(DiskSnapshotReceived) + r.received.path.size();
          },
          [](const ReplicationChanged&) { return sizeof(DiskReplicationChanged); },
      },
      record);
}

}  // namespace csnap
