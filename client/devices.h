// SPDX-License-Identifier: Apache-2.0
// Opens the devices that a session speaks of, and makes sure that they are the server's.
#pragma once

#include <memory>
#include <string>

#include "client/mapping.h"
#include "client/queue_pool.h"
#include "store/status.h"

namespace csnap {

// Volumes of one process share the queues of a device: how many there can be is limited, by the
// system, for all programs together.
struct VolumeDevices {
  std::shared_ptr<QueuePool> origin;
  std::shared_ptr<QueuePool>
      store;  // null for the origin volume, which does not need it to read and write
};

// Paths: where the devices are here; empty: where the server has them.
Result<VolumeDevices> open_volume_devices(const SessionInfo& info, const std::string& origin_path,
                                          const std::string& store_path);

// invalid when there is not this store on the device: identities tell devices of one name and size
// apart only where they have serial numbers.
Status check_is_store(Device& device, const Uuid& store);

// The store, to be read and written, for the copies that a client of the origin makes.
Result<std::shared_ptr<QueuePool>> open_store_for_copies(const SessionInfo& info,
                                                         const std::string& store_path);

}  // namespace csnap
