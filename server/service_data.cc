// SPDX-License-Identifier: Apache-2.0
// The data path: requests on a volume, checked, handed to the engine, answered.
#include "proto/plain_ranges.h"
#include "server/service_impl.h"

namespace csnap {
namespace {

// Chunks looked at for a reader that goes on in order: bounds the time that it takes.
constexpr std::uint64_t kMaxAhead = 1024;

std::uint64_t count_chunks(std::span<const ChunkRun> runs) {
  std::uint64_t total = 0;
  for (const auto& run : runs) total += run.count;
  return total;
}

Result<std::vector<WrittenRun>> written_runs(const wire::FinishWrite& m, std::uint64_t volume,
                                             std::uint64_t max_chunks) {
  if (m.runs().empty()) return Status(Code::invalid, "the request names no run");
  std::vector<WrittenRun> runs;
  runs.reserve(static_cast<std::size_t>(m.runs_size()));
  std::uint64_t total = 0;
  for (const auto& run : m.runs()) {
    CSNAP_TRY(check_range(run.start(), run.count(), volume));
    if (run.count() > max_chunks - total)
      return Status(Code::invalid, "the request names more than " + std::to_string(max_chunks) +
                                       " chunks, the limit for one");
    total += run.count();
    if (static_cast<std::uint64_t>(run.crcs_size()) != run.count())
      return Status(Code::invalid, "a run of " + std::to_string(run.count()) + " chunks has " +
                                       std::to_string(run.crcs_size()) + " checksums");
    if (run.store_chunk() >= kMaxChunks)
      return Status(Code::out_of_range,
                    "there is no store chunk " + std::to_string(run.store_chunk()));
    runs.push_back({{Chunk(run.start()), run.count()},
                    StoreChunk(run.store_chunk()),
                    {run.crcs().begin(), run.crcs().end()}});
  }
  return runs;
}

void fill(const ReadPiece& piece, wire::ReadPiece& out) {
  out.set_start(piece.chunks.start.value);
  out.set_count(piece.chunks.count);
  if (!piece.on_origin) out.set_store_chunk(piece.store.value);
  out.set_exclusive(piece.exclusive);
  out.set_rewritable(piece.rewritable);
  out.mutable_crcs()->Add(piece.crcs.begin(), piece.crcs.end());
}

void fill(const ReadGrant& grant, wire::SnapshotReadReply& out) {
  out.set_read_id(grant.id);
  out.mutable_pieces()->Reserve(static_cast<int>(grant.pieces.size()));
  for (const auto& piece : grant.pieces) fill(piece, *out.add_pieces());
  for (const auto& piece : grant.ahead) fill(piece, *out.add_ahead());
}

void fill(const SessionGrants::Answer& answer, wire::SnapshotWriteReply& out) {
  out.mutable_pieces()->Reserve(static_cast<int>(answer.pieces.size()));
  for (const auto& piece : answer.pieces) {
    auto* p = out.add_pieces();
    p->set_start(piece.chunks.start.value);
    p->set_count(piece.chunks.count);
    p->set_store_chunk(piece.store.value);
    p->set_provisional(piece.provisional);
  }
  if (answer.spares.count == 0) return;
  auto* spares = out.add_spares();
  spares->set_store_chunk(answer.spares.start.value);
  spares->set_count(answer.spares.count);
}

}  // namespace

bool Service::Impl::check_data(Channel& c, Session& s, const Frame& f, bool origin, bool write) {
  const std::string name = message_name(f.header.type);
  Status why;
  if (s.evicted)
    why = Status(Code::stale, *s.evicted);
  else if (origin != (s.volume == kOrigin))
    why = Status(Code::invalid, name + (origin ? " is for the origin; this session has a snapshot"
                                               : " is for snapshots; this session has the origin"));
  else if (write && s.read_only)
    why = Status(Code::denied, "the session is read-only");
  else if (s.uploading)
    why = Status(Code::invalid, name + " must wait until UPLOAD_DONE is answered");
  if (why.ok()) return true;
  refuse(c, f.header.request_id, why);
  return false;
}

void Service::Impl::answer(ClientKey key, std::uint64_t request_id, const Status& status,
                           wire::MessageType type, const google::protobuf::MessageLite& body) {
  Session* s = session(key);
  if (s == nullptr) return;
  Channel* c = settle(*s, request_id);
  if (c == nullptr) return;
  if (status.ok())
    reply(*c, request_id, type, body);
  else
    refuse(*c, request_id, status);
}

bool Service::Impl::unique_at_once(Channel& c, Session& s, const Frame& f) {
  if (s.evicted || s.volume != kOrigin || s.read_only || s.uploading || draining) return false;
  if (!s.requests.running.empty() && s.requests.running.contains(f.header.request_id)) return false;
  if (!plain_ranges(f.body, plain)) return false;
  std::uint64_t chunks = 0;
  for (const ChunkRun& run : plain) {
    if (!check_range(run.start.value, run.count, volume_chunks).ok()) return false;
    chunks += run.count;
    if (chunks > options.max_request_chunks) return false;
  }
  if (s.requests.chunks + chunks > options.max_chunks) return false;
  if (!engine->origin_write_at_once(s.key, plain)) return false;
  append_empty_frame(output(c), wire::MESSAGE_UNIQUE_REPLY, frame_flags::kReply,
                     f.header.request_id);
  return true;
}

void Service::Impl::on_unique(Channel& c, Session& s, const Frame& f) {
  if (unique_at_once(c, s, f)) return;
  if (!check_data(c, s, f, true, true)) return;
  const auto* m = parse<wire::UniqueRequest>(c, f);
  if (m == nullptr) return;
  const std::uint64_t id = f.header.request_id;
  auto ranges = ranges_from_proto(m->ranges(), volume_chunks, options.max_request_chunks);
  if (!ranges.ok()) return refuse(c, id, ranges.status());
  if (!admit(c, f, count_chunks(*ranges))) return;
  engine->origin_write(s.key, std::move(ranges).value(),
                       [this, key = s.key, id](const Status& status) {
                         answer(key, id, status, wire::MESSAGE_UNIQUE_REPLY, wire::UniqueReply());
                       });
}

void Service::Impl::on_snapshot_read(Channel& c, Session& s, const Frame& f) {
  if (!check_data(c, s, f, false, false)) return;
  const auto* m = parse<wire::SnapshotRead>(c, f);
  if (m == nullptr) return;
  const std::uint64_t id = f.header.request_id;
  auto ranges = ranges_from_proto(m->ranges(), volume_chunks, options.max_request_chunks);
  if (!ranges.ok()) return refuse(c, id, ranges.status());
  if (s.reads.size() >= options.max_reads)
    return refuse(c, id,
                  Status(Code::busy, std::to_string(s.reads.size()) +
                                         " reads of the session are not finished"));
  if (!admit(c, f, count_chunks(*ranges))) return;
  const std::uint64_t end = ranges->back().end().value;
  const std::uint64_t ahead = std::min({std::uint64_t{m->ahead()}, kMaxAhead, volume_chunks - end});
  engine->snapshot_read(
      s.key, std::move(ranges).value(),
      [this, key = s.key, id](const Result<ReadGrant>& grant) { answer_read(key, id, grant); },
      ahead);
}

void Service::Impl::answer_read(ClientKey key, std::uint64_t request_id,
                                const Result<ReadGrant>& grant) {
  Session* s = session(key);
  if (s == nullptr) return;
  Channel* c = settle(*s, request_id);
  if (c == nullptr) {
    if (grant.ok()) unwanted.emplace_back(key, grant->id);
    return;
  }
  if (!grant.ok()) return refuse(*c, request_id, grant.status());
  if (grant->id != 0) s->reads.insert(grant->id);
  wire::SnapshotReadReply out;
  fill(*grant, out);
  reply(*c, request_id, wire::MESSAGE_SNAPSHOT_READ_REPLY, out);
}

void Service::Impl::on_finish_read(Channel& c, Session& s, const Frame& f) {
  const auto* m = parse<wire::FinishRead>(c, f);
  if (m == nullptr) return;
  for (const ReadId read : m->read_ids())
    if (s.reads.erase(read) > 0) engine->finish_read(s.key, read);
}

void Service::Impl::on_snapshot_write(Channel& c, Session& s, const Frame& f) {
  if (!check_data(c, s, f, false, true)) return;
  const auto* m = parse<wire::SnapshotWrite>(c, f);
  if (m == nullptr) return;
  const std::uint64_t id = f.header.request_id;
  auto ranges = ranges_from_proto(m->ranges(), volume_chunks, options.max_request_chunks);
  if (!ranges.ok()) return refuse(c, id, ranges.status());
  if (const auto* given = s.grants.answer_to(id); given != nullptr) {
    wire::SnapshotWriteReply out;
    fill(*given, out);
    return reply(c, id, wire::MESSAGE_SNAPSHOT_WRITE_REPLY, out);
  }
  if (s.grants.answers() >= options.max_reads)
    return refuse(c, id,
                  Status(Code::busy, std::to_string(s.grants.answers()) +
                                         " writes of the session are not finished"));
  if (!admit(c, f, count_chunks(*ranges))) return;
  engine->snapshot_write(s.key, std::move(ranges).value(), m->overwrite(),
                         [this, key = s.key, id, spares = m->overwrite() ? m->spares_wanted() : 0](
                             Result<std::vector<WritePiece>> pieces) {
                           answer_write(key, id, std::move(pieces), spares);
                         });
}

void Service::Impl::answer_write(ClientKey key, std::uint64_t request_id,
                                 Result<std::vector<WritePiece>> pieces,
                                 std::uint64_t spares_wanted) {
  Session* s = session(key);
  if (s == nullptr) return;
  SessionGrants::Answer answer;
  if (pieces.ok()) {
    answer.pieces = std::move(pieces).value();
    // Who overwrites what has places already needs no more of them.
    if (spares_wanted > 0 && !answer.pieces.empty() && answer.pieces.front().provisional)
      answer.spares =
          engine->spare_places(key, std::min(spares_wanted, options.max_request_chunks));
    s->grants.add(request_id, answer);
  }
  Channel* c = settle(*s, request_id);
  if (c == nullptr) return;
  if (!pieces.ok()) return refuse(*c, request_id, pieces.status());
  wire::SnapshotWriteReply out;
  fill(answer, out);
  reply(*c, request_id, wire::MESSAGE_SNAPSHOT_WRITE_REPLY, out);
}

void Service::Impl::on_finish_write(Channel& c, Session& s, const Frame& f) {
  if (!check_data(c, s, f, false, true)) return;
  const auto* m = parse<wire::FinishWrite>(c, f);
  if (m == nullptr) return;
  const std::uint64_t id = f.header.request_id;
  auto runs = written_runs(*m, volume_chunks, options.max_request_chunks);
  if (!runs.ok()) return refuse(c, id, runs.status());
  std::uint64_t chunks = 0;
  for (const auto& run : *runs) chunks += run.chunks.count;
  if (!admit(c, f, chunks)) return;
  if (!s.grants.take(*runs)) {
    settle(s, id);
    return refuse(c, id,
                  Status(Code::stale,
                         "these places are not, or no longer, the session's to fill; "
                         "write again from the start"));
  }
  engine->finish_write(
      s.key, std::move(runs).value(), [this, key = s.key, id](const Status& status) {
        answer(key, id, status, wire::MESSAGE_FINISH_WRITE_REPLY, wire::FinishWriteReply());
      });
}

}  // namespace csnap
