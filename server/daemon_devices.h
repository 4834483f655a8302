// SPDX-License-Identifier: Apache-2.0
// The devices of a server: locked for as long as it lives, opened, and described for its clients.
// Threading: none of its own; called while the server starts.
#pragma once

#include <string>
#include <vector>

#include "server/engine.h"
#include "server/service.h"
#include "store/device_identity.h"
#include "store/status.h"

namespace csnap {

struct DevicePaths {
  std::string origin;
  std::string store;
  std::string metadata;  // empty: on the store
};

struct ServedDevices {
  std::vector<DeviceLock> locks;  // of store and metadata; to be held until the engine is gone
  EngineDevices devices;
  std::vector<DeviceDescription> descriptions;
};

// busy, naming the holder, when another server (or csnap-mkstore) has the store.
Result<ServedDevices> open_served_devices(const DevicePaths& paths);

}  // namespace csnap
