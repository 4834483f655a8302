// SPDX-License-Identifier: Apache-2.0
// csnapd without its command line: the one event loop that carries bytes between sockets, the
// session layer and the engine, and tells them the time. It knows no message and no store.
//
// Threading: run_daemon() runs everything on the calling thread and handles SIGTERM and SIGINT
// while it runs. Errors: what kept it from starting, or from leaving the store in order.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "proto/address.h"
#include "proto/address_network.h"
#include "server/daemon_devices.h"
#include "server/service.h"
#include "store/status.h"

namespace csnap {

struct DaemonOptions {
  DevicePaths paths;
  std::vector<Address> listen;
  std::size_t cache_bytes = 64u << 20;
  std::uint32_t lease_ms = 10'000;
  ClientCopyPolicy client_copies = ClientCopyPolicy::elsewhere;
  std::string program;  // for logs and lists: "csnapd 0.1.0"
  // csnap-admin's path: it takes the send streams that come. Empty: none are taken.
  std::string receiver;
  // From where they are taken besides; who may administer may send them, too.
  std::vector<Network> streams_from;
  // Once, when clients can connect: a line for people that names store and addresses.
  std::function<void(const std::string&)> ready;
};

// Serves until a signal asks it to stop; then who takes streams is asked to end, and has a second
// for it; then no grant is given any more, what is under way is finished, the store is checkpointed
// and marked clean.
Status run_daemon(const DaemonOptions& options);

}  // namespace csnap
