// SPDX-License-Identifier: Apache-2.0
// From bytes, which may be anything, to records.
#include <cstring>
#include <utility>

#include "journal/journal_format.h"
#include "journal/records.h"
#include "store/replication_codec.h"
#include "store/tables.h"

namespace csnap {
namespace {

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

Result<Record> decode_record(std::span<const std::byte>& bytes) {
  if (bytes.empty()) return truncated();
  Taker from(bytes);
  auto record = get_record(static_cast<RecordType>(bytes[0]), from);
  if (record.ok()) bytes = from.rest();
  return record;
}

}  // namespace csnap
