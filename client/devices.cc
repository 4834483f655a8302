// SPDX-License-Identifier: Apache-2.0
#include "client/devices.h"

#include <utility>

#include "store/device_identity.h"
#include "store/open_device.h"

namespace csnap {

namespace {

// Each call has a queue for itself, so there may be many: threads times volumes.
constexpr unsigned kQueueDepth = 16;

Result<std::unique_ptr<QueuePool>> open_one(const char* what, const RemoteDevice& described,
                                            const std::string& path_here, bool read_only) {
  const std::string& path = path_here.empty() ? described.path : path_here;
  const std::string context = std::string("the ") + what;
  auto device =
      open_device(path, read_only ? OpenMode::read_only : OpenMode::read_write, kQueueDepth);
  if (!device.ok()) return device.status().with_context(context);
  if (!described.identity.empty()) {
    CSNAP_ASSIGN(const auto mine, identify(path));
    CSNAP_ASSIGN(const auto theirs, DeviceIdentity::parse(described.identity));
    CSNAP_TRY(same_volume(mine, theirs, std::string(what) + " " + path));
  }
  return std::make_unique<QueuePool>(std::move(device).value());
}

}  // namespace

Result<VolumeDevices> open_volume_devices(const SessionInfo& info, const std::string& origin_path,
                                          const std::string& store_path) {
  VolumeDevices devices;
  // A snapshot's client reads the origin and never writes to it.
  CSNAP_ASSIGN(devices.origin, open_one("origin", info.origin_device, origin_path,
                                        info.read_only || !info.is_origin()));
  if (!info.is_origin()) {
    CSNAP_ASSIGN(devices.store, open_one("store", info.store_device, store_path, info.read_only));
  }
  return devices;
}

}  // namespace csnap
