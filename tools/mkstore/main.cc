// SPDX-License-Identifier: Apache-2.0
// csnap-mkstore: parses, makes the store, says what it made.
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "tools/mkstore/make_store.h"
#include "tools/mkstore/report.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

csnap::Uuid random_uuid() {
  std::random_device device;
  const auto word = [&] { return static_cast<std::uint64_t>(device()) << 32 | device(); };
  const std::uint64_t high = word();
  return csnap::Uuid::from_random(high, word());
}

}  // namespace

int main(int argc, char** argv) {
  const auto options =
      csnap::parse_mkstore_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options.ok()) {
    std::fprintf(stderr, "csnap-mkstore: %s\nTry csnap-mkstore --help.\n",
                 options.status().message().c_str());
    return kUsage;
  }
  if (options->help) {
    std::fputs(csnap::mkstore_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("csnap-mkstore " CSNAP_VERSION);
    return 0;
  }
  const auto made = csnap::make_store(*options, random_uuid());
  if (!made.ok()) {
    std::fprintf(stderr, "csnap-mkstore: %s\n", made.status().message().c_str());
    return kFailed;
  }
  const std::string report =
      options->json ? csnap::report_json(*options, *made) : csnap::report_text(*options, *made);
  if (std::fputs(report.c_str(), stdout) < 0 || std::fflush(stdout) != 0) return kFailed;
  return 0;
}
