// SPDX-License-Identifier: Apache-2.0
#include "test/fuzz/target.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace csnap::fuzz {
namespace {

std::vector<Target>& registered() {
  static std::vector<Target> all;  // made by whoever comes first at start-up
  return all;
}

}  // namespace

const std::vector<Target>& targets() {
  return registered();
}

Registration::Registration(const Target& target) {
  auto& all = registered();
  const auto before = [](const Target& a, const Target& b) {
    return std::strcmp(a.name, b.name) < 0;
  };
  all.insert(std::ranges::lower_bound(all, target, before), target);
}

void require(bool holds, const char* what, const std::string& more) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s%s%s\n", what, more.empty() ? "" : ": ", more.c_str());
  std::abort();
}

void require_ok(const Status& status, const char* what) {
  require(status.ok(), what, status.to_string());
}

}  // namespace csnap::fuzz
