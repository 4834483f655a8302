// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/origin_target.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "client/names.h"
#include "store/aligned_buffer.h"
#include "store/replication_codec.h"
#include "store/tables.h"
#include "store/zeros.h"
#include "tools/stream/differences.h"
#include "tools/stream/find_identity.h"
#include "tools/stream/stream_format.h"

namespace csnap {
namespace {

constexpr std::size_t kCopyBytes = 4u << 20;
constexpr std::chrono::seconds kSaveEvery{5};
// Somebody waits who sends the stream: a server that has gone is not waited for longer.
constexpr std::chrono::seconds kServerAway{60};
constexpr std::chrono::seconds kUntilKnown{5};

std::uint64_t count_chunks(const std::vector<ChunkRun>& runs) {
  std::uint64_t count = 0;
  for (const ChunkRun& run : runs) count += run.count;
  return count;
}

Result<std::unique_ptr<Volume>> open_origin(Admin& admin, const OpenOptions& options) {
  for (;;) {
    auto opened = Volume::open(options);
    if (opened.status().code() != Code::busy) return opened;
    CSNAP_ASSIGN(const std::string names, who_has_origin(admin));
    if (!names.empty())
      return Status(Code::busy, opened.status().message() + " (open: " + names + ")");
    // Of those that are gone the leases end.
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace

Result<std::string> who_has_origin(Admin& admin) {
  CSNAP_ASSIGN(const auto clients, admin.clients());
  std::string names;
  for (const auto& client : clients)
    if (client.volume == 0 && client.connected && !client.read_only)
      names += (names.empty() ? "" : "; ") + client.client_name;
  return names;
}

std::optional<ResumeToken> token_of(const std::optional<UnfinishedReceive>& receiving) {
  if (!receiving || !receiving->resumable || receiving->path.empty()) return std::nullopt;
  return ResumeToken{receiving->identity, receiving->parent, receiving->offset};
}

OriginTarget::~OriginTarget() = default;

Result<std::unique_ptr<OriginTarget>> OriginTarget::open(Admin& admin,
                                                         const ReceiveOptions& options) {
  std::unique_ptr<OriginTarget> target(new OriginTarget(admin, options));
  OpenOptions volume;
  volume.addresses = options.addresses;
  volume.receiving = true;
  volume.client_name = own_client_name() + ", receiving";
  volume.give_up_after = kServerAway;
  CSNAP_ASSIGN(target->origin_, open_origin(admin, volume));
  CSNAP_ASSIGN(target->list_, admin.list());
  CSNAP_ASSIGN(const auto status, admin.status());
  target->receiving_ = status.replication.receiving;
  target->role_ = status.replication.role;
  return target;
}

Status OriginTarget::check_name(const std::string& name) const {
  CSNAP_TRY(check_snapshot_name(name));
  for (const auto& entry : list_.snapshots)
    if (!entry.deleting && entry.name == name)
      return Status(Code::exists, "there is a snapshot '" + name + "' here already");
  return {};
}

Status OriginTarget::named(const std::string& path) {
  if (const Status fits = check_stream_path(path); !fits.ok())
    return Status(Code::unsupported, fits.message());
  receiving_->path = path;
  return {};
}

Result<std::string> OriginTarget::begin(const StreamBegin& begin) {
  CSNAP_ASSIGN(list_, admin_.list());
  CSNAP_TRY(check_name(begin.name));
  sources_.clear();
  whole_ = false;
  writer_ = std::make_unique<WriteBehind>(*origin_);
  saved_ = Clock::now();
  if (begin.from) return go_on(begin);
  return begin.parent ? begin_incremental(begin) : begin_full(begin);
}

// When the stream fits, and before anything is changed: what is refused is no replica, and what has
// begun is none without its role.
Status OriginTarget::take_role() {
  if (!options_.replica || role_ != ReplicationRole::none) return {};
  CSNAP_TRY(admin_.set_role(ReplicationRole::replica));
  role_ = ReplicationRole::replica;
  return {};
}

Result<std::string> OriginTarget::go_on(const StreamBegin& begin) {
  const auto& u = receiving_;
  if (!u || !u->resumable || u->identity != begin.identity)
    return Status(Code::not_found, "the stream goes on with " + begin.identity.to_string() +
                                       ", of which nothing was received here");
  if (*begin.from > u->offset)
    return Status(Code::out_of_range, "the stream goes on at " + std::to_string(*begin.from) +
                                          ", but here it was cut off at " +
                                          std::to_string(u->offset));
  CSNAP_TRY(take_role());
  receiving_->name = begin.name;
  return u->path;
}

Result<std::string> OriginTarget::begin_incremental(const StreamBegin& begin) {
  const auto found = require_identity(list_, *begin.parent);
  if (!found.ok())
    return Status(found.status().code(),
                  found.status().message() +
                      ", and the stream is a change to that; send one that is here with --from, or "
                      "all of it without");
  const Admin::SnapshotEntry& parent = **found;
  CSNAP_ASSIGN(const auto changed, changed_since(parent.id));
  // Chunks that were written and brought back count as changed, too.
  const bool by_us = receiving_ && receiving_->parent_id.value == parent.id;
  const bool undone = by_us && receiving_->undone;
  if (!changed.empty() && !by_us && !options_.force)
    return Status(Code::exists, "the origin is not as the stream's parent is: " +
                                    std::to_string(count_chunks(changed)) +
                                    " chunks were written to since; --force gives them up");
  CSNAP_TRY(take_role());
  const std::string& path = !parent.received_path.empty() ? parent.received_path : options_.file;
  receiving_ = UnfinishedReceive{
      begin.name, begin.identity, begin.parent, SnapshotId(parent.id), path, 0, false};
  CSNAP_TRY(save());
  if (!undone) CSNAP_TRY(copy_back(parent.id, changed));
  CSNAP_TRY(flush());
  receiving_->resumable = true;
  receiving_->undone = false;
  CSNAP_TRY(save());
  return path;
}

Result<std::string> OriginTarget::begin_full(const StreamBegin& begin) {
  const bool any =
      std::ranges::any_of(list_.snapshots, [](const auto& entry) { return !entry.deleting; });
  const bool by_us = receiving_ && receiving_->parent_id == kOrigin;
  if (any && !options_.force)
    return Status(Code::exists,
                  "there are snapshots here already, and the stream is a whole volume; send what "
                  "changed with --from, or overwrite the origin with --force");
  if (!options_.force && !by_us) CSNAP_TRY(clear(true));
  CSNAP_TRY(take_role());
  receiving_ =
      UnfinishedReceive{begin.name, begin.identity, std::nullopt, kOrigin, "", 0, false, false};
  CSNAP_TRY(save());
  if (options_.force || by_us) CSNAP_TRY(clear(false));
  CSNAP_TRY(flush());
  receiving_->resumable = true;
  CSNAP_TRY(save());
  return std::string();
}

Result<std::vector<ChunkRun>> OriginTarget::changed_since(std::uint64_t id) {
  for (const auto& entry : list_.snapshots)
    if (entry.id == id && !entry.deleting)
      return find_differences(admin_, mask_of_bit(entry.bit), 0);
  return Status(Code::not_found, "the snapshot that the origin came from was deleted");
}

// To what the snapshot has there.
Status OriginTarget::copy_back(std::uint64_t id, const std::vector<ChunkRun>& runs) {
  if (runs.empty()) return {};
  OpenOptions options;
  options.addresses = options_.addresses;
  options.volume_id = id;
  options.read_only = true;
  CSNAP_ASSIGN(const auto snapshot, Volume::open(options));
  const std::uint64_t chunk_size = origin_->chunk_size();
  WriteBehind writer(*origin_);
  for (const ChunkRun& run : runs) {
    const std::uint64_t from = run.start.value * chunk_size;
    CSNAP_TRY(copy(*snapshot, from, writer, from, std::min(run.count * chunk_size, size() - from)));
  }
  return writer.drain();
}

Status OriginTarget::copy(Volume& from, std::uint64_t from_offset, WriteBehind& writer,
                          std::uint64_t offset, std::uint64_t length) {
  AlignedBuffer buffer(std::min<std::uint64_t>(kCopyBytes, length));
  while (length > 0) {
    const auto part = buffer.span().first(std::min<std::uint64_t>(buffer.size(), length));
    CSNAP_TRY(from.read(from_offset, part));
    CSNAP_TRY(writer.write(offset, part));
    from_offset += part.size();
    offset += part.size();
    length -= part.size();
  }
  return {};
}

// Makes the origin all zeros; refuse: or says that it is not.
Status OriginTarget::clear(bool refuse) {
  AlignedBuffer buffer(kCopyBytes);
  WriteBehind writer(*origin_);
  DataExtent data;
  std::uint64_t next = 0;
  for (;;) {
    if (next >= data.end) {
      CSNAP_ASSIGN(data, origin_->next_origin_data(next));
    }
    const std::uint64_t at = std::max(next, data.start);
    if (at >= size()) break;
    const auto part = buffer.span().first(std::min<std::uint64_t>(kCopyBytes, size() - at));
    next = at + part.size();
    CSNAP_TRY(origin_->read(at, part));
    if (all_zero(part)) continue;
    if (refuse)
      return Status(Code::exists,
                    "the origin holds data already, and the stream is a whole volume; --force "
                    "overwrites it");
    for (std::size_t i = 0; i < part.size(); i += kZeroBlockBytes) {
      const auto block = part.subspan(i, std::min(kZeroBlockBytes, part.size() - i));
      if (all_zero(block)) continue;
      std::ranges::fill(block, std::byte{0});
      CSNAP_TRY(writer.write(at + i, block));
    }
  }
  return writer.drain();
}

// From here on the stream does more than write by ascending offset: where it is cut off from now on
// says nothing of what is there. The store must know before anything is changed.
Status OriginTarget::leave_order() {
  if (!receiving_->resumable) return {};
  receiving_->resumable = false;
  return save();
}

Status OriginTarget::write(std::uint64_t offset, std::span<const std::byte> data) {
  if (offset < writer_->end()) CSNAP_TRY(leave_order());
  CSNAP_TRY(writer_->write(offset, data));
  return Clock::now() - saved_ < kSaveEvery ? Status() : save_position();
}

Status OriginTarget::zero(std::uint64_t offset, std::uint64_t length) {
  CSNAP_TRY(leave_order());
  CSNAP_TRY(writer_->drain());
  return origin_->zero(offset, length);
}

Status OriginTarget::clone(const std::optional<StreamIdentity>& from, std::uint64_t from_offset,
                           std::uint64_t offset, std::uint64_t length) {
  CSNAP_TRY(leave_order());
  CSNAP_TRY(writer_->drain());
  Volume* source = origin_.get();
  if (from) {
    CSNAP_ASSIGN(source, sources_.open(list_, *from));
  }
  return copy(*source, from_offset, *writer_, offset, length);
}

// What one that failed has lost the next one may take for written: it is asked no more.
Status OriginTarget::flush() {
  if (flushes_.ok()) flushes_ = origin_->flush();
  return flushes_;
}

Status OriginTarget::save_position() {
  auto& u = *receiving_;
  const std::uint64_t below = writer_->written_below();
  CSNAP_TRY(writer_->failure());
  CSNAP_TRY(flush());
  u.offset = std::max(u.offset, below);
  saved_ = Clock::now();
  return save();
}

// Said twice it means the same: so a server that goes away and comes back meanwhile does no harm.
// It knows our session again a moment after that.
Status OriginTarget::save() {
  const auto began = Clock::now();
  for (;;) {
    const Status saved = admin_.set_receiving(origin_->session(), receiving_);
    const auto patience = saved.code() == Code::unavailable ? kServerAway
                          : saved.code() == Code::stale     ? kUntilKnown
                                                            : std::chrono::seconds(0);
    if (Clock::now() - began >= patience) return saved;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

Status OriginTarget::keep() {
  if (!receiving_) return {};
  CSNAP_TRY(writer_->drain());
  return save_position();
}

Status OriginTarget::roll_back() {
  if (!receiving_ || receiving_->undone) return {};
  receiving_->resumable = false;
  receiving_->offset = 0;
  CSNAP_TRY(save());
  // What is still under way, or failed, is of no interest.
  if (writer_) static_cast<void>(writer_->drain());
  writer_.reset();
  const std::uint64_t parent = receiving_->parent_id.value;
  if (parent == 0) {
    CSNAP_TRY(clear(false));
  } else {
    const auto changed = changed_since(parent);
    if (changed.status().code() == Code::not_found && options_.force) {
      left_as_it_is_ = true;
      receiving_.reset();
      return save();
    }
    if (!changed.ok())
      return Status(changed.status().code(),
                    changed.status().message() +
                        "; csnap-admin receive --abort --force leaves the origin as it is");
    CSNAP_TRY(copy_back(parent, *changed));
  }
  CSNAP_TRY(flush());
  receiving_->undone = true;
  return save();
}

Status OriginTarget::finish() {
  CSNAP_TRY(writer_->drain());
  if (!sources_.empty()) {
    CSNAP_ASSIGN(list_, admin_.list());
    CSNAP_TRY(sources_.check(list_));
  }
  CSNAP_TRY(save_position());
  whole_ = true;
  const auto made = admin_.create(receiving_->name, origin_->session());
  if (!made.ok()) {
    CSNAP_ASSIGN(const bool there, was_made());
    if (!there && made.status().code() == Code::exists && whole())
      return Status(Code::exists, made.status().message() +
                                      "; rename one of the two, for all of the stream is here");
    if (!there) return made.status();
    // What is listed may not be durable yet.
    CSNAP_TRY(admin_.seal(receiving_->name).status());
  }
  receiving_.reset();
  return {};
}

// It may have been although the answer was lost.
Result<bool> OriginTarget::was_made() {
  CSNAP_ASSIGN(const auto status, admin_.status());
  CSNAP_ASSIGN(const auto list, admin_.list());
  return !status.replication.receiving && std::ranges::any_of(list.snapshots, [&](const auto& e) {
    return !e.deleting && e.name == receiving_->name && e.received == receiving_->identity;
  });
}

}  // namespace csnap
