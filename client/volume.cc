// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "client/copy_runner.h"
#include "client/csnap.h"
#include "client/devices.h"
#include "client/names.h"
#include "client/origin_io.h"
#include "client/session.h"
#include "client/snapshot_io.h"

namespace csnap {

namespace {

Result<Uuid> new_session_id() {
  std::uint64_t words[2];
  if (getrandom(words, sizeof(words), 0) != static_cast<ssize_t>(sizeof(words)))
    return Status(Code::io_error, "the system gives no random bytes");
  return Uuid::from_random(words[0], words[1]);
}

Result<SessionOptions> session_options(const OpenOptions& options) {
  SessionOptions s;
  CSNAP_ASSIGN(s.addresses, addresses_or_default(options.addresses));
  CSNAP_ASSIGN(s.mapper.session, new_session_id());
  s.mapper.client_name = options.client_name.empty() ? own_client_name() : options.client_name;
  s.mapper.volume_name = options.volume;
  if (options.volume_id) s.mapper.volume = SnapshotId(*options.volume_id);
  s.mapper.read_only = options.read_only;
  s.mapper.receiving = options.receiving;
  s.open_timeout = options.open_timeout;
  s.give_up_after = options.give_up_after;
  return s;
}

}  // namespace

class Volume::Impl {
 public:
  Impl(SessionOptions session_options, std::size_t place_cache_bytes)
      : session_id_(session_options.mapper.session),
        state_(place_cache_bytes),
        session_(std::move(session_options), state_) {}

  Status open(const OpenOptions& options) {
    CSNAP_ASSIGN(info_, session_.open());
    CSNAP_ASSIGN(devices_, open_volume_devices(info_, options.origin_path, options.store_path));
    const VolumeParts parts{info_, state_, session_, devices_.origin.get(), devices_.store.get()};
    if (info_.is_origin())
      io_ = std::make_unique<OriginIo>(parts);
    else
      io_ = std::make_unique<SnapshotIo>(parts);
    if (info_.copies && !info_.read_only) offer_copies(options.store_path);
    return {};
  }

  const SessionInfo& info() const { return info_; }
  const Uuid& session_id() const { return session_id_; }
  VolumeIo& io() { return *io_; }
  Status health() const { return state_.gone(); }

  Status check(const char* what, std::uint64_t offset, std::uint64_t length) const {
    CSNAP_TRY(state_.gone());
    if (offset <= info_.size && length <= info_.size - offset) return {};
    return Status(Code::out_of_range, std::string(what) + " of " + std::to_string(length) +
                                          " bytes at " + std::to_string(offset) + ": " +
                                          info_.volume_name + " has " + std::to_string(info_.size) +
                                          " bytes");
  }
  Status check_write(const char* what, std::uint64_t offset, std::uint64_t length) const {
    if (info_.read_only) return Status(Code::denied, info_.volume_name + " was opened read-only");
    return check(what, offset, length);
  }
  Result<DataExtent> next_origin_data(std::uint64_t offset) {
    CSNAP_ASSIGN(auto queue, devices_.origin->take());
    return queue->next_data(offset);
  }
  Status finish(Status status, WriteFlags flags) {
    if (status.ok() && flags.fua) return io_->flush();
    return status;
  }

 private:
  // Who cannot write to the store here leaves the copying to the server.
  void offer_copies(const std::string& store_path) {
    if (!devices_.store) {
      auto store = open_store_for_copies(info_, store_path);
      if (!store.ok()) return;
      devices_.store = std::move(store).value();
    }
    copies_ =
        std::make_unique<CopyRunner>(info_, state_, session_, *devices_.origin, *devices_.store);
  }

  const Uuid session_id_;
  SessionInfo info_;
  VolumeState state_;
  VolumeSession session_;  // after the state, before what uses both
  VolumeDevices devices_;
  std::unique_ptr<VolumeIo> io_;
  std::unique_ptr<CopyRunner> copies_;  // null: none are made
};

Volume::Volume(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Volume::~Volume() = default;

Result<std::unique_ptr<Volume>> Volume::open(const OpenOptions& options) {
  CSNAP_ASSIGN(auto session, session_options(options));
  auto impl = std::make_unique<Impl>(std::move(session), options.place_cache_bytes);
  CSNAP_TRY(impl->open(options));
  return std::unique_ptr<Volume>(new Volume(std::move(impl)));
}

std::uint64_t Volume::size() const {
  return impl_->info().size;
}
std::uint64_t Volume::chunk_size() const {
  return impl_->info().chunk_size;
}
std::uint32_t Volume::block_size() const {
  return impl_->io().alignment();
}
bool Volume::read_only() const {
  return impl_->info().read_only;
}
bool Volume::is_origin() const {
  return impl_->info().is_origin();
}
std::uint64_t Volume::id() const {
  return impl_->info().volume.value;
}
const Uuid& Volume::uuid() const {
  return impl_->info().volume_uuid;
}
const Uuid& Volume::store_uuid() const {
  return impl_->info().store;
}
const Uuid& Volume::session() const {
  return impl_->session_id();
}
const std::string& Volume::name() const {
  return impl_->info().volume_name;
}
Status Volume::health() const {
  return impl_->health();
}

Status Volume::read(std::uint64_t offset, std::span<std::byte> data) {
  CSNAP_TRY(impl_->check("read", offset, data.size()));
  return impl_->io().read(offset, data);
}

Status Volume::write(std::uint64_t offset, std::span<const std::byte> data, WriteFlags flags) {
  CSNAP_TRY(impl_->check_write("write", offset, data.size()));
  return impl_->finish(impl_->io().write(offset, data), flags);
}

namespace {

// In order and apart from each other?
template <class Parts>
Status check_order(const Parts& parts) {
  std::uint64_t end = 0;
  for (const auto& part : parts) {
    if (part.data.empty() || part.offset < end)
      return Status(Code::invalid, "parts of a request that are empty or not in order");
    end = part.offset + part.data.size();
  }
  return {};
}

}  // namespace

Status Volume::read(std::span<const ReadPart> parts) {
  for (const ReadPart& part : parts) CSNAP_TRY(impl_->check("read", part.offset, part.data.size()));
  CSNAP_TRY(check_order(parts));
  return impl_->io().read_parts(parts);
}

Status Volume::write(std::span<const WritePart> parts) {
  for (const WritePart& part : parts)
    CSNAP_TRY(impl_->check_write("write", part.offset, part.data.size()));
  CSNAP_TRY(check_order(parts));
  return impl_->io().write_parts(parts);
}

Status Volume::zero(std::uint64_t offset, std::uint64_t length, WriteFlags flags) {
  CSNAP_TRY(impl_->check_write("zero", offset, length));
  return impl_->finish(impl_->io().zero(offset, length), flags);
}

Status Volume::trim(std::uint64_t offset, std::uint64_t length, WriteFlags flags) {
  CSNAP_TRY(impl_->check_write("trim", offset, length));
  return impl_->finish(impl_->io().zero(offset, length), flags);
}

Status Volume::flush() {
  return impl_->io().flush();
}

Result<DataExtent> Volume::next_origin_data(std::uint64_t offset) {
  CSNAP_TRY(impl_->check("search for data", offset, 0));
  CSNAP_ASSIGN(DataExtent found, impl_->next_origin_data(offset));
  return DataExtent{std::min(found.start, size()), std::min(found.end, size())};
}

std::vector<BlockExtent> Volume::block_status(std::uint64_t offset, std::uint64_t length) {
  if (!impl_->check("block status", offset, length).ok() || length == 0) return {};
  return {{offset, length, true, false}};
}

}  // namespace csnap
