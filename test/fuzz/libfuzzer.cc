// SPDX-License-Identifier: Apache-2.0
// What libFuzzer calls, for the one target that is linked in.
#include "test/fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  csnap::fuzz::targets().front().run(
      csnap::fuzz::Input(std::as_bytes(std::span<const unsigned char>(data, size))));
  return 0;
}
