// SPDX-License-Identifier: Apache-2.0
#include "tools/check/run.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/metadata_blocks.h"
#include "store/device_identity.h"
#include "store/errno_status.h"
#include "store/open_device.h"
#include "store/pack_device.h"
#include "tools/check/copy_device.h"
#include "tools/common/progress.h"

namespace csnap {
namespace {

struct Opened {
  DeviceLock lock;
  std::unique_ptr<Device> device;
};

// Locked, so that no server begins to change it meanwhile.
Result<Opened> open_locked(const std::string& path, OpenMode mode) {
  auto lock = lock_device(path);
  if (lock.status().code() == Code::busy)
    return Status(Code::busy, lock.status().message() +
                                  "; a store that a server has open is checked with: csnap-admin "
                                  "check");
  if (!lock.ok()) return lock.status();
  CSNAP_ASSIGN(auto device, open_device(path, mode));
  return Opened{std::move(*lock), std::move(device)};
}

// Each part of a check with a line of its own.
class Parts {
 public:
  explicit Parts(bool shown) : shown_(shown) {}
  void at(const std::string& what, std::uint64_t done, std::uint64_t total) {
    if (what != what_) {
      what_ = what;
      line_.emplace("checking " + what, shown_);
    }
    line_->update(total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total));
  }

 private:
  const bool shown_;
  std::string what_;
  std::optional<Progress> line_;
};

}  // namespace

namespace {

// The devices of a store, locked and open.
struct Devices {
  std::optional<Opened> store, metadata;
  Device* separate() const { return metadata ? metadata->device.get() : nullptr; }
};

Result<Devices> open_devices(const CheckToolOptions& options, OpenMode mode) {
  Devices devices;
  CSNAP_ASSIGN(devices.store, open_locked(options.store, mode));
  if (!options.metadata.empty()) {
    CSNAP_ASSIGN(devices.metadata, open_locked(options.metadata, mode));
  }
  return devices;
}

CheckOptions check_options(const CheckToolOptions& options, Parts& parts) {
  CheckOptions check;
  check.data = options.data;
  check.progress = [&parts](const char* what, std::uint64_t done, std::uint64_t total) {
    parts.at(what, done, total);
  };
  return check;
}

std::string holder() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return "csnap-check, pid " + std::to_string(::getpid()) + " on " + host.data();
}

// A file made for a copy; removed again unless it was kept.
class CopyFile {
 public:
  static Result<CopyFile> make(const CheckToolOptions& options, std::uint64_t size) {
    if (options.force && ::unlink(options.to.c_str()) != 0 && errno != ENOENT)
      return errno_status(errno, options.to + ": cannot be removed");
    Status made = create_device_file(options.to, size);
    if (made.code() == Code::exists)
      return Status(Code::exists, made.message() + "; use --force to replace it");
    CSNAP_TRY(made);
    return CopyFile(options.to);
  }
  ~CopyFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  CopyFile(CopyFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  CopyFile& operator=(CopyFile&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  void keep() { path_.clear(); }

 private:
  explicit CopyFile(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<RepairReport> repair_copy(const CheckToolOptions& options, const Devices& devices,
                                 const RepairOptions& repair) {
  Device& store = *devices.store->device;
  Device& metadata = devices.separate() ? *devices.separate() : store;
  CSNAP_ASSIGN(CopyFile file, CopyFile::make(options, metadata.size()));
  CSNAP_ASSIGN(const auto target, open_device(options.to, OpenMode::read_write));
  CopyDevice copy(metadata, *target);
  CSNAP_ASSIGN(RepairReport report, devices.separate() ? repair_store(store, &copy, repair)
                                                       : repair_store(copy, nullptr, repair));
  if (report.after.damaged()) return report;
  CSNAP_ASSIGN(const auto runs, metadata_blocks(devices.separate() ? store : copy, copy));
  for (const BlockRun& run : runs) CSNAP_TRY(copy.copy_up(run));
  file.keep();
  return report;
}

// A pack of csnap-dump, instead of the store it was made of.
Result<CheckReport> check_pack(const CheckToolOptions& options) {
  if (!options.metadata.empty())
    return Status(Code::invalid, options.store + " is a pack; it has all the metadata there is");
  if (options.data)
    return Status(Code::invalid, options.store + " is a pack; it has no data to be compared");
  CSNAP_ASSIGN(const PackFile file, PackFile::open(options.store));
  const auto store = file.store(), metadata = file.metadata();
  Parts parts(options.progress || is_terminal(STDERR_FILENO));
  CheckOptions check = check_options(options, parts);
  check.has_data = false;
  return check_store(*store, metadata.get(), check);
}

}  // namespace

Result<CheckReport> run_check(const CheckToolOptions& options) {
  CSNAP_ASSIGN(const bool pack, PackFile::is_pack(options.store));
  if (pack) return check_pack(options);
  CSNAP_ASSIGN(const Devices devices, open_devices(options, OpenMode::read_only));
  Parts parts(options.progress || is_terminal(STDERR_FILENO));
  return check_store(*devices.store->device, devices.separate(), check_options(options, parts));
}

Result<RepairReport> run_repair(const CheckToolOptions& options) {
  CSNAP_ASSIGN(const bool pack, PackFile::is_pack(options.store));
  if (pack)
    return Status(Code::invalid, options.store +
                                     " is a pack of csnap-dump: it can be checked, but only the "
                                     "store it was made of can be repaired");
  const bool in_place = options.to.empty();
  CSNAP_ASSIGN(const Devices devices,
               open_devices(options, in_place ? OpenMode::read_write : OpenMode::read_only));
  Parts parts(options.progress || is_terminal(STDERR_FILENO));
  RepairOptions repair;
  repair.check = check_options(options, parts);
  repair.holder = holder();
  repair.copy = !in_place;
  if (in_place) return repair_store(*devices.store->device, devices.separate(), repair);
  return repair_copy(options, devices, repair);
}

}  // namespace csnap
