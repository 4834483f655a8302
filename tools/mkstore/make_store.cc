// SPDX-License-Identifier: Apache-2.0
#include "tools/mkstore/make_store.h"

#include <memory>
#include <optional>

#include "store/device_identity.h"
#include "store/open_device.h"
#include "tools/common/progress.h"
#include "tools/common/size.h"
#include "tools/mkstore/signatures.h"

namespace csnap {
namespace {

bool same_place(const DeviceIdentity& a, const DeviceIdentity& b) {
  if (a.rdev != 0 || b.rdev != 0) return a.rdev == b.rdev;
  return a.device == b.device && a.inode == b.inode;
}

// A device or file that will be written over: locked, so that nobody else begins to use it, and
// open.
struct Target {
  std::string path;
  DeviceLock lock;
  std::unique_ptr<Device> device;
  DeviceIdentity identity;
};

Result<Target> open_target(const std::string& path, bool dry_run) {
  CSNAP_ASSIGN(DeviceIdentity identity, identify(path));
  CSNAP_ASSIGN(DeviceLock lock, lock_device(path));
  CSNAP_ASSIGN(auto device,
               open_device(path, dry_run ? OpenMode::read_only : OpenMode::read_write));
  return Target{path, std::move(lock), std::move(device), std::move(identity)};
}

Status check_content(const Target& target, bool force) {
  CSNAP_ASSIGN(const auto content, find_content(target.path, *target.device));
  if (!content || force) return {};
  return Status(Code::exists, target.path + " holds " + *content +
                                  "; use --force to make a store there and lose that");
}

// Removes the file again unless it was kept.
class NewFile {
 public:
  explicit NewFile(std::string path) : path_(std::move(path)) {}
  ~NewFile() {
    if (!path_.empty()) remove_device_file(path_);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

Status check_places(const MkstoreOptions& options, const DeviceIdentity& origin,
                    const Target* store, const Target* metadata) {
  if (store && same_place(origin, store->identity))
    return Status(Code::invalid, options.store + " is the origin itself");
  if (metadata && same_place(origin, metadata->identity))
    return Status(Code::invalid, options.metadata + " is the origin itself");
  if (store && metadata && same_place(store->identity, metadata->identity))
    return Status(Code::invalid, "store and metadata are one device, " + options.store +
                                     "; leave out --metadata to keep both on it");
  return {};
}

// ORIGIN and STORE are easily swapped.
Status check_origin(const MkstoreOptions& options) {
  CSNAP_ASSIGN(auto device, open_device(options.origin, OpenMode::read_only));
  if (options.force) return {};
  const Code found = read_superblock(*device).status().code();
  if (found != Code::ok && found != Code::unsupported && found != Code::invalid) return {};
  return Status(Code::exists, options.origin +
                                  " is a csnap store itself; the origin is named first, then the "
                                  "store (--force if it is meant)");
}

Status check_size_option(const MkstoreOptions& options, bool there) {
  if (!there && options.size == 0)
    return Status(Code::not_found,
                  options.store + " does not exist; give --size to make it as a file");
  if (!there || options.size == 0) return {};
  CSNAP_ASSIGN(const DeviceIdentity identity, identify(options.store));
  if (identity.size == options.size) return {};
  return Status(Code::exists, options.store + " exists and has " + format_size(identity.size) +
                                  "; leave out --size to use it as it is");
}

Result<Superblock> plan(const MkstoreOptions& options, const Uuid& uuid,
                        const DeviceIdentity& origin, const MadeStore& sizes) {
  LayoutRequest request;
  request.uuid = uuid;
  request.label = options.label;
  request.origin_size = origin.size;
  request.store_size = sizes.store_size;
  request.metadata_size = sizes.metadata_size;
  request.chunk_shift = options.chunk_shift;
  request.journal_size = options.journal_size;
  auto planned = plan_layout(request);
  if (!planned.ok())
    return planned.status().with_context("cannot make a store on " + options.store);
  return planned;
}

// The old signatures go first: a device must never look like two things.
Status write_store(Target& store, Target* metadata, const Superblock& superblock) {
  CSNAP_TRY(wipe_signatures(store.path, *store.device));
  if (metadata) CSNAP_TRY(wipe_signatures(metadata->path, *metadata->device));
  return format_store(*store.device, metadata ? metadata->device.get() : nullptr, superblock);
}

}  // namespace

Result<MadeStore> make_store(const MkstoreOptions& options, const Uuid& uuid) {
  auto origin = identify(options.origin);
  if (!origin.ok()) return origin.status().with_context("origin");
  CSNAP_TRY(check_origin(options));
  const bool there = device_exists(options.store);
  CSNAP_TRY(check_size_option(options, there));

  std::optional<Target> store, metadata;
  if (there) {
    CSNAP_ASSIGN(store, open_target(options.store, options.dry_run));
  }
  if (!options.metadata.empty()) {
    CSNAP_ASSIGN(metadata, open_target(options.metadata, options.dry_run));
  }
  CSNAP_TRY(
      check_places(options, *origin, store ? &*store : nullptr, metadata ? &*metadata : nullptr));
  if (store) CSNAP_TRY(check_content(*store, options.force));
  if (metadata) CSNAP_TRY(check_content(*metadata, options.force));

  MadeStore made;
  made.file_made = !there;
  made.store_size = store ? store->device->size() : options.size;
  if (metadata) made.metadata_size = metadata->device->size();
  CSNAP_ASSIGN(made.superblock, plan(options, uuid, *origin, made));
  if (options.dry_run) return made;

  std::optional<NewFile> new_file;
  if (!there) {
    Progress progress("writing", options.preallocate && is_terminal(STDERR_FILENO));
    const auto filled = [&](double part) { progress.update(part); };
    CSNAP_TRY(options.preallocate ? create_device_file(options.store, options.size, filled)
                                  : create_device_file(options.store, options.size));
    progress.clear();
    new_file.emplace(options.store);
    CSNAP_ASSIGN(store, open_target(options.store, false));
  }
  CSNAP_TRY(write_store(*store, metadata ? &*metadata : nullptr, made.superblock));
  if (new_file) new_file->keep();
  return made;
}

}  // namespace csnap
