// SPDX-License-Identifier: Apache-2.0
#include "client/names.h"

#include <errno.h>
#include <unistd.h>

namespace csnap {

Result<std::vector<Address>> addresses_or_default(const std::vector<std::string>& texts) {
  if (texts.empty()) return default_addresses();
  std::vector<Address> addresses;
  for (const std::string& text : texts) {
    CSNAP_ASSIGN(auto address, parse_address(text));
    addresses.push_back(std::move(address));
  }
  return addresses;
}

std::string own_client_name() {
  char host[256] = "";
  if (gethostname(host, sizeof(host) - 1) != 0) host[0] = '\0';
  return std::string(program_invocation_short_name) + ", pid " + std::to_string(getpid()) + " on " +
         host;
}

}  // namespace csnap
