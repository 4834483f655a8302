// SPDX-License-Identifier: Apache-2.0
#include "server/daemon_devices.h"

#include <memory>
#include <utility>

#include "store/open_device.h"

namespace csnap {
namespace {

// Opens `path` and adds its description, with a name that clients can use.
Result<std::unique_ptr<Device>> open_described(DeviceDescription::Kind kind,
                                               const std::string& path,
                                               std::vector<DeviceDescription>& descriptions) {
  CSNAP_ASSIGN(auto device, open_device(path, OpenMode::read_write));
  CSNAP_ASSIGN(const auto identity, identify(path));
  DeviceDescription description;
  description.kind = kind;
  description.path = absolute_device_name(path);
  description.size = device->size();
  description.identity = identity.to_string();
  descriptions.push_back(std::move(description));
  return device;
}

Status lock(const char* what, const std::string& path, std::vector<DeviceLock>& locks) {
  auto held = lock_device(path);
  if (!held) return held.status().with_context(std::string("cannot serve the ") + what);
  locks.push_back(std::move(held).value());
  return {};
}

}  // namespace

Result<ServedDevices> open_served_devices(const DevicePaths& paths) {
  using Kind = DeviceDescription::Kind;
  ServedDevices served;
  // The origin too: two servers on one origin would each miss what the other lets happen to it, and
  // another server's store is no origin.
  CSNAP_TRY(lock("origin", paths.origin, served.locks));
  CSNAP_TRY(lock("store", paths.store, served.locks));
  if (!paths.metadata.empty()) CSNAP_TRY(lock("metadata", paths.metadata, served.locks));
  CSNAP_ASSIGN(served.devices.origin,
               open_described(Kind::origin, paths.origin, served.descriptions));
  CSNAP_ASSIGN(served.devices.store, open_described(Kind::store, paths.store, served.descriptions));
  if (!paths.metadata.empty()) {
    CSNAP_ASSIGN(served.devices.metadata,
                 open_described(Kind::metadata, paths.metadata, served.descriptions));
  }
  return served;
}

}  // namespace csnap
