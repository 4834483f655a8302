// SPDX-License-Identifier: Apache-2.0
#include "client/devices.h"

#include <map>
#include <mutex>
#include <utility>

#include "store/aligned_buffer.h"
#include "store/block_cache.h"
#include "store/device_identity.h"
#include "store/open_device.h"
#include "store/superblock.h"

namespace csnap {

namespace {

// Each call has a queue for itself, so there may be many.
constexpr unsigned kQueueDepth = 16;

// The pools of this process, by what the device is and how it was opened.
class OpenPools {
 public:
  Result<std::shared_ptr<QueuePool>> get(const std::string& path, const DeviceIdentity& identity,
                                         bool read_only) {
    std::lock_guard lock(mutex_);
    std::erase_if(pools_, [](const auto& entry) { return entry.second.expired(); });
    const std::string key =
        identity.to_string() + (read_only ? " read-only " : " read-write ") + path;
    if (auto pool = pools_[key].lock()) return pool;
    const OpenMode mode = read_only ? OpenMode::read_only : OpenMode::read_write;
    CSNAP_ASSIGN(auto device, open_device(path, mode, kQueueDepth));
    auto pool = std::make_shared<QueuePool>(std::move(device));
    pools_[key] = pool;
    return pool;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<QueuePool>> pools_;
};

OpenPools& open_pools() {
  static OpenPools pools;
  return pools;
}

Result<std::shared_ptr<QueuePool>> open_one(const char* what, const RemoteDevice& described,
                                            const std::string& path_here, bool read_only) {
  const std::string& path = path_here.empty() ? described.path : path_here;
  const std::string context = std::string("the ") + what;
  const auto mine = identify(path);
  if (!mine.ok()) return mine.status().with_context(context);
  if (!described.identity.empty()) {
    CSNAP_ASSIGN(const auto theirs, DeviceIdentity::parse(described.identity));
    CSNAP_TRY(same_volume(*mine, theirs, std::string(what) + " " + path));
  }
  auto pool = open_pools().get(path, *mine, read_only);
  if (!pool.ok()) return pool.status().with_context(context);
  return pool;
}

Result<std::shared_ptr<QueuePool>> open_store(const SessionInfo& info,
                                              const std::string& store_path, bool read_only) {
  CSNAP_ASSIGN(auto pool, open_one("store", info.store_device, store_path, read_only));
  CSNAP_ASSIGN(auto queue, pool->take());
  CSNAP_TRY(check_is_store(*queue, info.store));
  return pool;
}

}  // namespace

Status check_is_store(Device& device, const Uuid& store) {
  AlignedBuffer block(kBlockSize);
  Status why;
  // The server may be writing one of the two just now. With metadata elsewhere the first is a
  // label.
  for (const BlockAddress address : {kSuperblockA, kSuperblockB, kSuperblockA, kSuperblockB}) {
    CSNAP_TRY(device.transfer(IoKind::read, address.value * kBlockSize, block.span()));
    const Status found = check_any_block(block.span(), address, store);
    if (found.ok()) return {};
    if (why.ok()) why = found;
  }
  return Status(Code::invalid, device.name() + " is not the store of this server (" +
                                   why.message() + "); say where the store is here");
}

Result<VolumeDevices> open_volume_devices(const SessionInfo& info, const std::string& origin_path,
                                          const std::string& store_path) {
  VolumeDevices devices;
  // A snapshot's client reads the origin and never writes to it.
  CSNAP_ASSIGN(devices.origin, open_one("origin", info.origin_device, origin_path,
                                        info.read_only || !info.is_origin()));
  if (!info.is_origin()) {
    CSNAP_ASSIGN(devices.store, open_store(info, store_path, info.read_only));
  }
  return devices;
}

Result<std::shared_ptr<QueuePool>> open_store_for_copies(const SessionInfo& info,
                                                         const std::string& store_path) {
  CSNAP_ASSIGN(auto pool, open_store(info, store_path, false));
  // The server's flush does not reach what a page cache here holds back.
  if (!pool->direct())
    return Status(Code::unsupported, pool->name() + ": its file system has no direct I/O");
  return pool;
}

}  // namespace csnap
