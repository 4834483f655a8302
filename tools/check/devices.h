// SPDX-License-Identifier: Apache-2.0
// The devices of the store that the user named.
// Threading: one thread. Errors: sentences for people; busy when a server has them open.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "store/device_identity.h"
#include "store/open_device.h"
#include "tools/check/options.h"

namespace csnap {

struct LockedDevice {
  DeviceLock lock;
  std::unique_ptr<Device> device;
};

// Locked while it lives, so that no server begins to change them meanwhile, and open.
struct StoreDevices {
  std::optional<LockedDevice> store, metadata;
  Device* separate() const { return metadata ? metadata->device.get() : nullptr; }
};

Result<StoreDevices> open_devices(const CheckToolOptions& options, OpenMode mode);

}  // namespace csnap
