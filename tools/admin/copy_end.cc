// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/copy_end.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "client/csnap.h"
#include "client/io_batch.h"
#include "client/queue_pool.h"
#include "client/volume_data.h"
#include "store/block_tree.h"
#include "store/errno_status.h"
#include "store/open_device.h"

namespace csnap {
namespace {

constexpr std::string_view kSnapshot = "snapshot:";
constexpr unsigned kDepth = 4;  // each thread has a queue for itself

class VolumeEnd : public CopyEnd {
 public:
  // admin: null if the server lets nobody look at its map; then all of a snapshot is data.
  VolumeEnd(std::unique_ptr<Volume> volume, std::unique_ptr<Admin> admin, unsigned bit)
      : volume_(std::move(volume)),
        admin_(std::move(admin)),
        contents_(*volume_, bit, [this](std::uint64_t from, std::uint32_t limit) {
          return admin_->dump(from, limit);
        }) {}
  std::uint64_t size() const override { return volume_->size(); }
  Status read(std::uint64_t offset, std::span<std::byte> data) override {
    return volume_->read(offset, data);
  }
  Status write(std::uint64_t offset, std::span<const std::byte> data) override {
    return volume_->write(offset, data);
  }
  Status flush() override { return volume_->flush(); }
  Result<DataExtent> next_data(std::uint64_t offset) override {
    const DataExtent all{offset, size()};
    if (!volume_->is_origin() && !admin_) return all;
    auto found = contents_.next(offset);
    // Reading waits for a server that is away. Who waits for it need not be told where.
    if (found.status().code() == Code::unavailable) return all;
    return found;
  }

 private:
  std::unique_ptr<Volume> volume_;
  std::unique_ptr<Admin> admin_;
  VolumeData contents_;
};

class DeviceEnd : public CopyEnd {
 public:
  DeviceEnd(DeviceLock lock, std::unique_ptr<Device> device, std::uint64_t exact_size, bool empty)
      : lock_(std::move(lock)),
        punches_(device->punches()),
        pool_(std::move(device)),
        exact_size_(exact_size),
        empty_(empty) {}
  std::uint64_t size() const override { return pool_.size(); }
  std::uint64_t exact_size() const override { return exact_size_; }
  bool empty() const override { return empty_; }
  Status read(std::uint64_t offset, std::span<std::byte> data) override {
    CSNAP_ASSIGN(auto queue, pool_.take());
    return queue->transfer(IoKind::read, offset, data);
  }
  Status write(std::uint64_t offset, std::span<const std::byte> data) override {
    CSNAP_ASSIGN(auto queue, pool_.take());
    IoBatch batch(std::move(queue));
    batch.write(offset, data);
    return batch.wait();
  }
  Status flush() override {
    CSNAP_ASSIGN(auto queue, pool_.take());
    return queue->transfer(IoKind::flush, 0, {});
  }
  Result<DataExtent> next_data(std::uint64_t offset) override {
    CSNAP_ASSIGN(auto queue, pool_.take());
    return queue->next_data(offset);
  }
  bool punches() const override { return punches_; }
  Status punch(std::uint64_t offset, std::uint64_t length) override {
    CSNAP_ASSIGN(auto queue, pool_.take());
    return queue->punch(offset, length);
  }

 private:
  DeviceLock lock_;
  const bool punches_;
  QueuePool pool_;
  const std::uint64_t exact_size_;
  const bool empty_;
};

Result<std::unique_ptr<CopyEnd>> open_volume(const std::string& name, const Addresses& addresses,
                                             bool read_only) {
  OpenOptions options;
  options.addresses = addresses;
  options.volume = name == "origin" ? name : name.substr(kSnapshot.size());
  if (name == "origin") options.volume_id = 0;
  options.read_only = read_only;
  options.client_name = "csnap-admin copy, pid " + std::to_string(::getpid());
  CSNAP_ASSIGN(auto volume, Volume::open(options));
  if (volume->is_origin())
    return std::unique_ptr<CopyEnd>(std::make_unique<VolumeEnd>(std::move(volume), nullptr, 0));
  AdminOptions admin_options;
  admin_options.addresses = addresses;
  auto admin = Admin::connect(admin_options);
  if (admin.status().code() == Code::denied)
    return std::unique_ptr<CopyEnd>(std::make_unique<VolumeEnd>(std::move(volume), nullptr, 0));
  if (!admin.ok()) return admin.status();
  CSNAP_ASSIGN(const auto list, (*admin)->list());
  for (const auto& entry : list.snapshots)
    if (entry.id == volume->id())
      return std::unique_ptr<CopyEnd>(
          std::make_unique<VolumeEnd>(std::move(volume), std::move(*admin), entry.bit));
  return Status(Code::not_found, options.volume + " was deleted just now");
}

// Locked, so that nobody else begins to use it.
Result<std::unique_ptr<CopyEnd>> open_end(const std::string& name, OpenMode mode, bool empty) {
  auto lock = lock_device(name);
  if (lock.status().code() == Code::busy && mode == OpenMode::read_only)
    return Status(Code::busy, lock.status().message() +
                                  "; what a server serves is copied from it: origin, or "
                                  "snapshot:NAME");
  if (!lock.ok()) return lock.status();
  CSNAP_ASSIGN(auto device, open_device(name, mode, kDepth));
  CSNAP_ASSIGN(const auto tree, BlockTreePath::parse(name));
  std::uint64_t exact = device->size();
  if (tree) {
    CSNAP_ASSIGN(const auto layout, BlockTree::layout_of(*tree));
    exact = layout.size();
  }
  return std::unique_ptr<CopyEnd>(
      std::make_unique<DeviceEnd>(std::move(lock).value(), std::move(device), exact, empty));
}

// Does it read as zeros everywhere, for certain?
Result<bool> is_empty(const std::string& name) {
  CSNAP_ASSIGN(const auto tree, BlockTreePath::parse(name));
  if (tree) {
    CSNAP_ASSIGN(const bool pages, BlockTree::holds_pages(*tree));
    return !pages;
  }
  struct stat info {};
  if (::stat(name.c_str(), &info) != 0) return errno_status(errno, name + ": cannot be examined");
  if (!S_ISREG(info.st_mode)) return false;
  const int fd = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno_status(errno, name + ": cannot be opened for reading");
  const bool hole = ::lseek(fd, 0, SEEK_DATA) < 0 && errno == ENXIO;
  ::close(fd);
  return hole;
}

bool may_be_larger(const std::string& name) {
  struct stat info {};
  return !names_block_tree(name) && ::stat(name.c_str(), &info) == 0 && S_ISBLK(info.st_mode);
}

Status check_size(const Destination& destination, const CopyEnd& source) {
  const std::uint64_t size = destination.end->size();
  if (size == source.size()) return {};
  if (size > source.size() && may_be_larger(destination.name)) return {};
  return Status(Code::invalid, destination.name + " has " + std::to_string(size) +
                                   " bytes, the source has " + std::to_string(source.size()));
}

Status refuse_without_force(const std::string& name) {
  return Status(Code::exists,
                name + " may hold something; use --force to make it a copy and lose that");
}

// A tree's size is part of its name.
Result<std::string> with_size(const std::string& name, std::uint64_t size) {
  CSNAP_ASSIGN(auto tree, BlockTreePath::parse(name));
  if (!tree) return name;
  if (tree->size == 0) tree->size = size;
  return tree->to_string();
}

// What is missing is a file: not_found is for snapshots.
Status no_snapshot(const Status& status) {
  return status.code() == Code::not_found ? Status(Code::invalid, status.message()) : status;
}

Result<Destination> open_volume_to_write(const std::string& name, const Addresses& addresses,
                                         const CopyEnd& source, bool force) {
  Destination destination;
  destination.name = name;
  if (!force) {
    CSNAP_TRY(open_volume(name, addresses, true).status());
    return refuse_without_force(name);
  }
  CSNAP_ASSIGN(destination.end, open_volume(name, addresses, false));
  CSNAP_TRY(check_size(destination, source));
  return destination;
}

Result<Destination> open_device_to_write(const std::string& name, const CopyEnd& source, bool force,
                                         MadeDevice& made) {
  Destination destination;
  CSNAP_ASSIGN(destination.name, with_size(name, source.exact_size()));
  bool empty = true;
  if (!device_exists(name)) {
    const std::uint64_t size = names_block_tree(name) ? source.exact_size() : source.size();
    CSNAP_TRY(made.make(destination.name, size));
  } else {
    CSNAP_ASSIGN(empty, is_empty(destination.name));
    if (!empty && !force) return refuse_without_force(destination.name);
  }
  CSNAP_ASSIGN(destination.end, open_end(destination.name, OpenMode::read_write, empty));
  CSNAP_TRY(check_size(destination, source));
  return destination;
}

}  // namespace

bool names_volume(const std::string& name) {
  return name == "origin" || name.starts_with(kSnapshot);
}

Result<std::unique_ptr<CopyEnd>> open_source(const std::string& name, const Addresses& addresses) {
  if (names_volume(name)) return open_volume(name, addresses, true);
  auto end = open_end(name, OpenMode::read_only, false);
  if (!end.ok()) return no_snapshot(end.status());
  return end;
}

Status MadeDevice::make(const std::string& name, std::uint64_t size) {
  const std::lock_guard lock(mutex_);
  CSNAP_TRY(create_device_file(name, size));
  name_ = name;
  return {};
}

bool MadeDevice::remove() {
  const std::lock_guard lock(mutex_);
  if (!name_.empty()) remove_device_file(name_);
  return !std::exchange(name_, "").empty();
}

bool MadeDevice::nothing() const {
  const std::lock_guard lock(mutex_);
  return name_.empty();
}

bool MadeDevice::keep() {
  const std::lock_guard lock(mutex_);
  return !std::exchange(name_, "").empty();
}

Result<Destination> open_destination(const std::string& name, const Addresses& addresses,
                                     const CopyEnd& source, bool force, MadeDevice& made) {
  if (names_volume(name)) return open_volume_to_write(name, addresses, source, force);
  auto destination = open_device_to_write(name, source, force, made);
  if (!destination.ok()) return no_snapshot(destination.status());
  return destination;
}

}  // namespace csnap
