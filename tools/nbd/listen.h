// SPDX-License-Identifier: Apache-2.0
// Where csnap-nbd will listen: what clients call it, and making room for it.
#pragma once

#include <string>

#include "proto/address.h"
#include "store/status.h"

namespace csnap {

// The NBD URI of an export ("" is the default one).
std::string nbd_uri(const Address& address, const std::string& export_name);
// Makes the directory of a Unix socket if it is not there, and removes a socket that nobody
// listens on any more. busy when somebody does.
Status prepare_to_listen(const Address& address);

}  // namespace csnap
