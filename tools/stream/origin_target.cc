// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/origin_target.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "client/names.h"
#include "store/aligned_buffer.h"
#include "store/tables.h"
#include "store/zeros.h"
#include "tools/stream/differences.h"

namespace csnap {
namespace {

constexpr std::size_t kCopyBytes = 4u << 20;
constexpr std::size_t kZeroBlockBytes = 4096;
constexpr std::chrono::seconds kSaveEvery{5};
// Somebody waits who sends the stream: a server that has gone is not waited for longer.
constexpr std::chrono::seconds kServerAway{60};

std::uint64_t count_chunks(const std::vector<ChunkRun>& runs) {
  std::uint64_t count = 0;
  for (const ChunkRun& run : runs) count += run.count;
  return count;
}

}  // namespace

OriginTarget::~OriginTarget() = default;

Result<std::unique_ptr<OriginTarget>> OriginTarget::open(Admin& admin,
                                                         const ReceiveOptions& options,
                                                         ReceiveState& state) {
  std::unique_ptr<OriginTarget> target(new OriginTarget(admin, options, state));
  target->client_name_ = own_client_name() + ", receiving";
  OpenOptions volume;
  volume.addresses = options.addresses;
  volume.client_name = target->client_name_;
  volume.give_up_after = kServerAway;
  CSNAP_ASSIGN(target->origin_, Volume::open(volume));
  CSNAP_ASSIGN(target->list_, admin.list());
  CSNAP_TRY(state.reconcile(target->list_));
  return target;
}

Status OriginTarget::check_name(const std::string& name) const {
  CSNAP_TRY(check_snapshot_name(name));
  for (const auto& entry : list_.snapshots)
    if (!entry.deleting && entry.name == name)
      return Status(Code::exists, "there is a snapshot '" + name + "' here already");
  return {};
}

// Of those who could write to the origin, whatever the state file says.
Status OriginTarget::check_alone() {
  CSNAP_ASSIGN(const auto clients, admin_.clients());
  for (const auto& client : clients)
    if (client.volume == 0 && client.connected && client.client_name != client_name_)
      return Status(Code::busy, "the origin is open elsewhere (" + client.client_name +
                                    "); who receives must be the only one who writes to it");
  return {};
}

Result<ReceivedSnapshot> OriginTarget::find_parent(const StreamIdentity& identity) const {
  for (const auto& r : state_.received)
    if (r.identity == identity) return r;
  // One that was made here and sent away comes back as the parent of what happened there.
  for (const auto& entry : list_.snapshots)
    if (!entry.deleting && entry.uuid == identity.uuid && entry.id == identity.ctransid)
      return ReceivedSnapshot{entry.id, entry.uuid, identity, options_.file};
  return Status(Code::not_found,
                "the stream is a change to " + identity.to_string() +
                    ", and no snapshot here was received as that; send one that is here with "
                    "--from, or all of it without");
}

Result<std::string> OriginTarget::begin(const StreamBegin& begin) {
  CSNAP_ASSIGN(list_, admin_.list());
  CSNAP_TRY(check_name(begin.name));
  CSNAP_TRY(check_alone());
  writer_ = std::make_unique<WriteBehind>(*origin_);
  ours_.clear();
  in_order_ = true;
  saved_ = Clock::now();
  if (begin.from) return go_on(begin);
  return begin.parent ? begin_incremental(begin) : begin_full(begin);
}

Result<std::string> OriginTarget::go_on(const StreamBegin& begin) {
  const auto& u = state_.unfinished;
  if (!u || !u->resumable || u->identity != begin.identity)
    return Status(Code::not_found, "the stream goes on with " + begin.identity.to_string() +
                                       ", of which nothing was received here");
  if (*begin.from > u->offset)
    return Status(Code::out_of_range, "the stream goes on at " + std::to_string(*begin.from) +
                                          ", but here it was cut off at " +
                                          std::to_string(u->offset));
  state_.unfinished->name = begin.name;
  return u->path;
}

Result<std::string> OriginTarget::begin_incremental(const StreamBegin& begin) {
  CSNAP_ASSIGN(const auto parent, find_parent(*begin.parent));
  CSNAP_ASSIGN(const auto changed, changed_since(parent.id));
  const bool by_us = state_.unfinished && state_.unfinished->parent_id == parent.id;
  if (!changed.empty() && !by_us && !options_.force)
    return Status(Code::busy, "the origin is not as the stream's parent is: " +
                                  std::to_string(count_chunks(changed)) +
                                  " chunks were written to since; --force gives them up");
  state_.unfinished = UnfinishedReceive{
      begin.name, begin.identity, begin.parent, parent.id, parent.path, 0, false, std::nullopt};
  CSNAP_TRY(state_.save());
  ours_.assign((size() + origin_->chunk_size() - 1) / origin_->chunk_size(), false);
  CSNAP_TRY(copy_back(parent.id, changed));
  state_.unfinished->resumable = true;
  CSNAP_TRY(state_.save());
  return parent.path;
}

Result<std::string> OriginTarget::begin_full(const StreamBegin& begin) {
  const bool any =
      std::ranges::any_of(list_.snapshots, [](const auto& entry) { return !entry.deleting; });
  const bool by_us = state_.unfinished && state_.unfinished->parent_id == 0;
  if (any && !options_.force)
    return Status(Code::exists,
                  "there are snapshots here already, and the stream is a whole volume; send what "
                  "changed with --from, or overwrite the origin with --force");
  if (!options_.force && !by_us) CSNAP_TRY(clear(true));
  state_.unfinished =
      UnfinishedReceive{begin.name, begin.identity, std::nullopt, 0, "", 0, false, std::nullopt};
  CSNAP_TRY(state_.save());
  if (options_.force || by_us) CSNAP_TRY(clear(false));
  state_.unfinished->resumable = true;
  CSNAP_TRY(state_.save());
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
  mark(offset, length);
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
  for (std::uint64_t at = 0; at < size(); at += kCopyBytes) {
    const auto part = buffer.span().first(std::min<std::uint64_t>(kCopyBytes, size() - at));
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

void OriginTarget::mark(std::uint64_t offset, std::uint64_t length) {
  if (ours_.empty() || length == 0) return;
  const std::uint64_t first = offset / origin_->chunk_size();
  const std::uint64_t last = (offset + length - 1) / origin_->chunk_size();
  for (std::uint64_t c = first; c <= last; ++c) ours_[c] = true;
}

Status OriginTarget::write(std::uint64_t offset, std::span<const std::byte> data) {
  mark(offset, data.size());
  CSNAP_TRY(writer_->write(offset, data));
  return Clock::now() - saved_ < kSaveEvery ? Status() : save_position();
}

Status OriginTarget::zero(std::uint64_t offset, std::uint64_t length) {
  in_order_ = false;
  mark(offset, length);
  CSNAP_TRY(writer_->drain());
  return origin_->zero(offset, length);
}

Result<Volume*> OriginTarget::received_volume(const StreamIdentity& identity,
                                              const std::string& path) {
  const auto found = std::ranges::find(state_.received, identity, &ReceivedSnapshot::identity);
  if (found == state_.received.end() || found->path != path)
    return Status(Code::not_found, "the stream clones from " + path + " of " +
                                       identity.to_string() + ", which is not here");
  auto& volume = sources_[found->id];
  if (!volume) {
    OpenOptions options;
    options.addresses = options_.addresses;
    options.volume_id = found->id;
    options.read_only = true;
    CSNAP_ASSIGN(volume, Volume::open(options));
  }
  return volume.get();
}

Status OriginTarget::clone(const std::optional<StreamIdentity>& from, const std::string& path,
                           std::uint64_t from_offset, std::uint64_t offset, std::uint64_t length) {
  in_order_ = false;
  CSNAP_TRY(writer_->drain());
  Volume* source = origin_.get();
  if (from) {
    CSNAP_ASSIGN(source, received_volume(*from, path));
  }
  return copy(*source, from_offset, *writer_, offset, length);
}

Status OriginTarget::save_position() {
  auto& u = *state_.unfinished;
  const std::uint64_t below = writer_->written_below();
  CSNAP_TRY(writer_->failure());
  CSNAP_TRY(origin_->flush());
  u.offset = std::max(u.offset, below);
  u.resumable = u.resumable && in_order_ && writer_->ascending();
  saved_ = Clock::now();
  return state_.save();
}

Status OriginTarget::keep() {
  if (!state_.unfinished) return {};
  CSNAP_TRY(writer_->drain());
  return save_position();
}

Status OriginTarget::roll_back() {
  if (!state_.unfinished) return {};
  state_.unfinished->resumable = false;
  state_.unfinished->offset = 0;
  CSNAP_TRY(state_.save());
  // What is still under way, or failed, is of no interest.
  if (writer_) static_cast<void>(writer_->drain());
  writer_.reset();
  const std::uint64_t parent = state_.unfinished->parent_id;
  if (parent == 0) {
    CSNAP_TRY(clear(false));
  } else {
    CSNAP_ASSIGN(const auto changed, changed_since(parent));
    CSNAP_TRY(copy_back(parent, changed));
  }
  return origin_->flush();
}

std::optional<ResumeToken> OriginTarget::token() const {
  const auto& u = state_.unfinished;
  if (!u || !u->resumable || u->path.empty()) return std::nullopt;
  return ResumeToken{u->identity, u->parent, u->offset};
}

// Every chunk that is not as the parent has it must be one that the stream wrote. If not, nothing
// is brought back either, without being told to: it may be of worth to somebody.
Status OriginTarget::check_nobody_else_wrote() {
  CSNAP_TRY(check_alone());
  if (ours_.empty()) return {};
  CSNAP_ASSIGN(const auto changed, changed_since(state_.unfinished->parent_id));
  for (const ChunkRun& run : changed)
    for (Chunk c = run.start; c < run.end(); ++c)
      if (c.value >= ours_.size() || !ours_[c.value]) {
        state_.unfinished.reset();
        CSNAP_TRY(state_.save());
        return Status(Code::busy, "somebody else wrote to the origin meanwhile, to chunk " +
                                      std::to_string(c.value) + "; no snapshot was made");
      }
  return {};
}

Status OriginTarget::finish() {
  CSNAP_TRY(writer_->drain());
  CSNAP_TRY(origin_->flush());
  CSNAP_TRY(check_nobody_else_wrote());
  CSNAP_ASSIGN(list_, admin_.list());
  auto& u = *state_.unfinished;
  std::uint64_t next = 1;
  for (const auto& entry : list_.snapshots) next = std::max(next, entry.id + 1);
  u.making = next;
  CSNAP_TRY(state_.save());
  const auto made = admin_.create(u.name);
  if (made.ok()) {
    state_.received.push_back({made->id, made->uuid, u.identity, u.path});
    state_.unfinished.reset();
    return state_.save();
  }
  // It may have been made all the same.
  CSNAP_ASSIGN(list_, admin_.list());
  CSNAP_TRY(state_.reconcile(list_));
  return state_.unfinished ? made.status() : Status();
}

}  // namespace csnap
