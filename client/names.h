// SPDX-License-Identifier: Apache-2.0
// What clients of every kind fill in when the user did not: where the server is, who they are.
#pragma once

#include <string>
#include <vector>

#include "proto/address.h"
#include "store/status.h"

namespace csnap {

// The addresses parsed, or the default ones when there are none.
Result<std::vector<Address>> addresses_or_default(const std::vector<std::string>& texts);
// "csnap-nbd, pid 7 on host.example".
std::string own_client_name();

}  // namespace csnap
