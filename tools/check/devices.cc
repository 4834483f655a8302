// SPDX-License-Identifier: Apache-2.0
#include "tools/check/devices.h"

#include <utility>

namespace csnap {
namespace {

Result<LockedDevice> open_locked(const std::string& path, OpenMode mode,
                                 const std::string& instead) {
  auto lock = lock_device(path);
  if (lock.status().code() == Code::busy)
    return Status(Code::busy, lock.status().message() + "; " + instead);
  if (!lock.ok()) return lock.status();
  CSNAP_ASSIGN(auto device, open_device(path, mode));
  return LockedDevice{std::move(*lock), std::move(device)};
}

}  // namespace

Result<StoreDevices> open_devices(const CheckToolOptions& options, OpenMode mode) {
  const std::string instead =
      options.rmap ? "the map of a store that a server has open is told by: csnap-admin rmap"
                   : "a store that a server has open is checked with: csnap-admin check";
  StoreDevices devices;
  CSNAP_ASSIGN(devices.store, open_locked(options.store, mode, instead));
  if (!options.metadata.empty()) {
    CSNAP_ASSIGN(devices.metadata, open_locked(options.metadata, mode, instead));
  }
  return devices;
}

}  // namespace csnap
