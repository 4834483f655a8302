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

// Does a run of `count` from `start` lie within the 48 bits of a chunk number?
constexpr bool run_fits(std::uint64_t start, std::uint64_t count) {
  return count <= kMaxChunks && start <= kMaxChunks - count;
}

// -- encoding -------------------------------------------------------------------------------------

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

// -- decoding -------------------------------------------------------------------------------------

Status corrupt(const std::string& what) {
  return Status(Code::corrupt, "journal record: " + what);
}

// Takes the bytes of one record off the front, piece by piece.
class Taker {
 public:
  explicit Taker(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // Null when there are not so many bytes.
  template <class T>
  const T* take() {
    if (bytes_.size() < sizeof(T)) return nullptr;
    const T* t = &view_as<T>(bytes_);
    bytes_ = bytes_.subspan(sizeof(T));
    return t;
  }
  bool take(std::size_t n, std::span<const std::byte>& out) {
    if (bytes_.size() < n) return false;
    out = bytes_.first(n);
    bytes_ = bytes_.subspan(n);
    return true;
  }
  std::span<const std::byte> rest() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

Status truncated() {
  return corrupt("it ends before its last field");
}

template <class Index>
Result<Run<Index>> get_run(const DiskRun& d) {
  const Run<Index> run{Index(d.start.get()), d.count_minus_1.get() + 1};
  if (!run_fits(run.start.value, run.count)) return corrupt("a run goes past the last chunk");
  return run;
}

Uuid get_uuid(const std::uint8_t (&from)[16]) {
  Uuid uuid;
  std::memcpy(uuid.bytes.data(), from, sizeof from);
  return uuid;
}

Result<SnapshotId> get_snapshot(const Le64& from) {
  if (from.get() == kOrigin.value) return corrupt("it names the origin as a snapshot");
  return SnapshotId(from.get());
}

Result<std::string> get_name(Taker& from, std::size_t length) {
  std::span<const std::byte> bytes;
  if (!from.take(length, bytes)) return truncated();
  std::string name(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const Status s = check_snapshot_name(name); !s.ok()) return corrupt(s.message());
  return name;
}

Result<Record> get_exception_added(Taker& from) {
  const auto* d = from.take<DiskExceptionAdded>();
  if (!d) return truncated();
  const std::size_t count = d->count_minus_1.get() + std::size_t{1};
  static_assert(kMaxRecordRun == 256, "a count less one fills its byte");
  std::span<const std::byte> crcs;
  if (!from.take(count * sizeof(Le32), crcs)) return truncated();
  ExceptionAdded r{Chunk(d->chunk.get()), StoreChunk(d->store.get()), d->mask.get(), {}};
  if (r.mask == 0) return corrupt("an exception that no snapshot shares");
  if (!run_fits(r.chunk.value, count) || !run_fits(r.store.value, count))
    return corrupt("an exception goes past the last chunk");
  r.crcs.reserve(count);
  for (; !crcs.empty(); crcs = crcs.subspan(sizeof(Le32))) {
    r.crcs.push_back(view_as<Le32>(crcs).get());
    if (r.crcs.back() == 0) return corrupt("an exception without a checksum");
  }
  return Record(std::move(r));
}

Result<Record> get_shares_cleared(Taker& from) {
  const auto* d = from.take<DiskSharesCleared>();
  if (!d) return truncated();
  CSNAP_ASSIGN(const auto chunks, get_run<Chunk>(d->chunks));
  if (d->bits.get() == 0) return corrupt("it clears no share");
  return Record(SharesCleared{chunks, d->bits.get()});
}

Result<Record> get_data_mutable(Taker& from) {
  const auto* d = from.take<DiskDataMutable>();
  if (!d) return truncated();
  CSNAP_ASSIGN(const auto run, get_run<StoreChunk>(d->run));
  return Record(DataMutable{run});
}

Result<Record> get_snapshot_created(Taker& from) {
  const auto* d = from.take<DiskSnapshotCreated>();
  if (!d) return truncated();
  CSNAP_ASSIGN(const auto id, get_snapshot(d->id));
  if (d->bit.get() >= kMaxSnapshots) return corrupt("a snapshot on a bit that does not exist");
  CSNAP_ASSIGN(auto name, get_name(from, d->name_bytes.get()));
  return Record(
      SnapshotCreated{id, get_uuid(d->uuid), std::move(name), d->created.get(), d->bit.get()});
}

Result<Record> get_snapshot_renamed(Taker& from) {
  const auto* d = from.take<DiskSnapshotRenamed>();
  if (!d) return truncated();
  CSNAP_ASSIGN(const auto id, get_snapshot(d->id));
  CSNAP_ASSIGN(auto name, get_name(from, d->name_bytes.get()));
  return Record(SnapshotRenamed{id, std::move(name)});
}

template <class T>
Result<Record> get_snapshot_only(Taker& from) {
  const auto* d = from.take<DiskSnapshotOnly>();
  if (!d) return truncated();
  CSNAP_ASSIGN(const auto id, get_snapshot(d->id));
  return Record(T{id});
}

Result<Record> get_deletion_progress(Taker& from) {
  const auto* d = from.take<DiskDeletionProgress>();
  if (!d) return truncated();
  CSNAP_ASSIGN(const auto id, get_snapshot(d->id));
  CSNAP_ASSIGN(const auto chunks, get_run<Chunk>(d->chunks));
  return Record(DeletionProgress{id, chunks});
}

Result<Record> get_client_opened(Taker& from) {
  const auto* d = from.take<DiskClientOpened>();
  if (!d) return truncated();
  return Record(ClientOpened{get_uuid(d->id), SnapshotId(d->volume.get())});
}

Result<Record> get_client_closed(Taker& from) {
  const auto* d = from.take<DiskClientClosed>();
  if (!d) return truncated();
  return Record(ClientClosed{get_uuid(d->id)});
}

Result<Record> get_client_pool(Taker& from) {
  const auto* d = from.take<DiskClientPool>();
  if (!d) return truncated();
  if (d->slot.get() >= kMaxPools) return corrupt("a client's pool that does not exist");
  const StoreRun run{StoreChunk(d->start.get()), d->count.get()};
  if (!run_fits(run.start.value, run.count))
    return corrupt("a client's pool goes past the last chunk");
  return Record(ClientPool{get_uuid(d->id), d->slot.get(), run});
}

Result<Record> get_server_started(Taker& from) {
  const auto* d = from.take<DiskServerStarted>();
  if (!d) return truncated();
  return Record(ServerStarted{Epoch(d->epoch.get())});
}

Result<Record> get_snapshot_sealed(Taker& from) {
  const auto* d = from.take<DiskSnapshotSealed>();
  if (!d) return truncated();
  CSNAP_ASSIGN(const auto id, get_snapshot(d->id));
  if (d->transid.get() == 0) return corrupt("a transid of 0");
  return Record(SnapshotSealed{id, d->transid.get()});
}

Result<Record> get_snapshot_received(Taker& from) {
  const auto* d = from.take<DiskSnapshotReceived>();
  if (!d) return truncated();
  CSNAP_ASSIGN(const auto id, get_snapshot(d->id));
  std::span<const std::byte> bytes;
  if (!from.take(d->path_bytes.get(), bytes)) return truncated();
  std::string path(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const Status s = check_stream_path(path); !s.ok()) return corrupt(s.message());
  return Record(SnapshotReceived{id, {decode_identity(d->identity), std::move(path)}});
}

Result<Record> get_replication_changed(Taker& from) {
  const auto* d = from.take<DiskReplicationChanged>();
  if (!d) return truncated();
  CSNAP_ASSIGN(auto replication, decode_replication(std::as_bytes(std::span(&d->replication, 1))));
  return Record(ReplicationChanged{std::move(replication)});
}

Result<Record> get_record(RecordType type, Taker& from) {
  switch (type) {
    case RecordType::exception_added:
      return get_exception_added(from);
    case RecordType::shares_cleared:
      return get_shares_cleared(from);
    case RecordType::data_mutable:
      return get_data_mutable(from);
    case RecordType::snapshot_created:
      return get_snapshot_created(from);
    case RecordType::snapshot_renamed:
      return get_snapshot_renamed(from);
    case RecordType::snapshot_deleted:
      return get_snapshot_only<SnapshotDeleted>(from);
    case RecordType::deletion_progress:
      return get_deletion_progress(from);
    case RecordType::deletion_finished:
      return get_snapshot_only<DeletionFinished>(from);
    case RecordType::client_opened:
      return get_client_opened(from);
    case RecordType::client_closed:
      return get_client_closed(from);
    case RecordType::client_pool:
      return get_client_pool(from);
    case RecordType::server_started:
      return get_server_started(from);
    case RecordType::snapshot_written:
      return get_snapshot_only<SnapshotWritten>(from);
    case RecordType::snapshot_sealed:
      return get_snapshot_sealed(from);
    case RecordType::snapshot_received:
      return get_snapshot_received(from);
    case RecordType::replication_changed:
      return get_replication_changed(from);
  }
  return corrupt("unknown type " + std::to_string(static_cast<unsigned>(type)));
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

Result<Record> decode_record(std::span<const std::byte>& bytes) {
  if (bytes.empty()) return truncated();
  Taker from(bytes);
  auto record = get_record(static_cast<RecordType>(bytes[0]), from);
  if (record.ok()) bytes = from.rest();
  return record;
}

}  // namespace csnap
