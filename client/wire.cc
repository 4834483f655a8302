// SPDX-License-Identifier: Apache-2.0
#include "client/wire.h"

#include <algorithm>
#include <bit>

namespace csnap {

namespace {

constexpr std::uint64_t kMaxCopyBytes = 1u << 20;
constexpr std::uint64_t kMaxSpares = 1u << 20;  // in a row; nobody asks for as many

Status nonsense(const std::string& what) {
  return Status(Code::corrupt, "the server's answer makes no sense: " + what);
}

RemoteDevice describe(const wire::DeviceInfo& device) {
  return {device.path(), device.size(), device.identity()};
}

// Walks along the ranges asked for as the pieces of an answer come by.
class Cover {
 public:
  explicit Cover(std::span<const ChunkRun> asked) : asked_(asked) {}

  bool take(std::uint64_t start, std::uint64_t count) {
    if (asked_.empty() || count == 0) return false;
    const ChunkRun& now = asked_.front();
    if (start != now.start.value + done_ || count > now.count - done_) return false;
    done_ += count;
    if (done_ == now.count) {
      asked_ = asked_.subspan(1);
      done_ = 0;
    }
    return true;
  }
  bool complete() const { return asked_.empty(); }

 private:
  std::span<const ChunkRun> asked_;
  std::uint64_t done_ = 0;  // of the first of them
};

bool possible_place(std::uint64_t store_chunk, std::uint64_t count) {
  return store_chunk < kMaxChunks && count <= kMaxChunks - store_chunk;
}

Result<ReadSource> source_from_wire(const wire::ReadPiece& piece) {
  ReadSource s;
  s.chunks = {Chunk(piece.start()), piece.count()};
  s.on_origin = !piece.has_store_chunk();
  if (s.on_origin) return s;
  if (!possible_place(piece.store_chunk(), piece.count())) return nonsense("place");
  s.store = StoreChunk(piece.store_chunk());
  s.exclusive = piece.exclusive();
  s.rewritable = piece.exclusive() && piece.rewritable();
  if (piece.crcs_size() == 0) return s;
  if (static_cast<std::uint64_t>(piece.crcs_size()) != piece.count()) return nonsense("checksums");
  s.crcs.assign(piece.crcs().begin(), piece.crcs().end());
  return s;
}

Status check_session(const SessionInfo& s) {
  if (!std::has_single_bit(s.chunk_size) || s.chunk_size < (1u << kMinChunkShift) ||
      s.chunk_size > (1u << kMaxChunkShift))
    return nonsense("chunk size " + std::to_string(s.chunk_size));
  // Not multiplied: the largest number of the largest chunks does not fit 64 bits.
  if (s.size / s.chunk_size > kMaxChunks) return nonsense("volume size");
  if (s.lease_ms < 10 || s.heartbeat_ms == 0 || s.heartbeat_ms >= s.lease_ms)
    return nonsense("lease of " + std::to_string(s.lease_ms) + " ms, heartbeat every " +
                    std::to_string(s.heartbeat_ms) + " ms");
  if (s.max_request_chunks == 0 || s.max_requests == 0 || s.max_reads == 0)
    return nonsense("nothing may be asked");
  return {};
}

}  // namespace

Result<SessionInfo> session_from_wire(const wire::Welcome& welcome) {
  SessionInfo s;
  CSNAP_ASSIGN(s.store, uuid_from_proto(welcome.store()));
  CSNAP_ASSIGN(s.incarnation, uuid_from_proto(welcome.incarnation()));
  CSNAP_ASSIGN(s.volume_uuid, uuid_from_proto(welcome.volume().uuid()));
  s.volume = SnapshotId(welcome.volume().id());
  s.volume_name = welcome.volume().name();
  s.size = welcome.volume().size();
  s.chunk_size = welcome.chunk_size();
  for (const auto& device : welcome.devices()) {
    if (device.kind() == wire::DeviceInfo::KIND_ORIGIN) s.origin_device = describe(device);
    if (device.kind() == wire::DeviceInfo::KIND_STORE) s.store_device = describe(device);
  }
  s.lease_ms = welcome.lease_ms();
  s.heartbeat_ms = welcome.heartbeat_ms();
  s.max_request_chunks = welcome.max_request_chunks();
  s.max_requests = welcome.max_requests();
  s.max_reads = welcome.max_reads();
  s.read_only = welcome.read_only();
  s.copies = welcome.copies();
  s.server_name = welcome.server_name();
  CSNAP_TRY(check_session(s));
  return s;
}

Result<std::vector<ReadSource>> sources_from_wire(const wire::SnapshotReadReply& reply,
                                                  std::span<const ChunkRun> asked) {
  std::vector<ReadSource> sources;
  sources.reserve(static_cast<std::size_t>(reply.pieces_size()));
  Cover cover(asked);
  for (const auto& piece : reply.pieces()) {
    if (!cover.take(piece.start(), piece.count())) return nonsense("pieces not asked for");
    CSNAP_ASSIGN(auto source, source_from_wire(piece));
    sources.push_back(std::move(source));
  }
  if (!cover.complete()) return nonsense("pieces are missing");
  return sources;
}

Result<std::vector<ReadSource>> ahead_from_wire(const wire::SnapshotReadReply& reply,
                                                ChunkRun asked) {
  std::vector<ReadSource> sources;
  for (const auto& piece : reply.ahead()) {
    if (piece.start() != asked.start.value || piece.count() == 0 || piece.count() > asked.count)
      return nonsense("pieces ahead");
    CSNAP_ASSIGN(auto source, source_from_wire(piece));
    if (!source.exclusive) return nonsense("a piece ahead that may not be remembered");
    asked = {asked.start + piece.count(), asked.count - piece.count()};
    sources.push_back(std::move(source));
  }
  return sources;
}

Result<std::vector<WriteTarget>> targets_from_wire(const wire::SnapshotWriteReply& reply,
                                                   std::span<const ChunkRun> asked) {
  std::vector<WriteTarget> targets;
  targets.reserve(static_cast<std::size_t>(reply.pieces_size()));
  Cover cover(asked);
  for (const auto& piece : reply.pieces()) {
    if (!cover.take(piece.start(), piece.count())) return nonsense("pieces not asked for");
    if (!possible_place(piece.store_chunk(), piece.count())) return nonsense("place");
    targets.push_back({{Chunk(piece.start()), piece.count()},
                       StoreChunk(piece.store_chunk()),
                       piece.provisional()});
  }
  if (!cover.complete()) return nonsense("pieces are missing");
  return targets;
}

Result<std::vector<StoreRun>> spares_from_wire(const wire::SnapshotWriteReply& reply) {
  std::vector<StoreRun> spares;
  for (const auto& run : reply.spares()) {
    if (run.count() == 0 || run.count() > kMaxSpares ||
        !possible_place(run.store_chunk(), run.count()))
      return nonsense("spare places");
    spares.push_back({StoreChunk(run.store_chunk()), run.count()});
  }
  return spares;
}

Result<CopyTask> copy_from_wire(const wire::Copy& copy, const SessionInfo& session) {
  if (copy.count() == 0 || copy.count() > kMaxCopyBytes / session.chunk_size)
    return nonsense("a copy of " + std::to_string(copy.count()) + " chunks");
  if (!possible_place(copy.from(), copy.count()) ||
      !possible_place(copy.store_chunk(), copy.count()) ||
      (copy.from_origin() && copy.from() + copy.count() > session.chunks()))
    return nonsense("the place of a copy");
  const auto crcs = static_cast<std::uint64_t>(copy.crcs_size());
  if (crcs != 0 && (copy.from_origin() || crcs != copy.count())) return nonsense("checksums");
  return CopyTask{copy.copy_id(),
                  0,
                  copy.from_origin(),
                  copy.from(),
                  {StoreChunk(copy.store_chunk()), copy.count()},
                  {copy.crcs().begin(), copy.crcs().end()}};
}

void finished_to_wire(std::span<const FinishedRun> runs, wire::FinishWrite& message) {
  for (const FinishedRun& run : runs) {
    auto* out = message.add_runs();
    out->set_start(run.chunks.start.value);
    out->set_count(run.chunks.count);
    out->set_store_chunk(run.store.value);
    out->mutable_crcs()->Add(run.crcs.begin(), run.crcs.end());
  }
}

}  // namespace csnap
