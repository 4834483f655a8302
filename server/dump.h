// SPDX-License-Identifier: Apache-2.0
// Writes what the metadata of a store says as text: docs/format/dump.md. What a crash left in the
// journal is replayed in memory; nothing is written to the devices. The text depends on what is in
// the store, not on how its tree came to be.
// Threading: the devices' thread; blocks. Nobody else may be changing the store.
// Memory: the cache and what the journal holds.
// Errors: those of recover_to_read(); corrupt at a damaged block: what was written until then has
// no end line.
#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

#include "server/dump_text.h"
#include "store/device.h"
#include "store/status.h"

namespace csnap {

struct DumpOptions {
  std::size_t cache_bytes = 64u << 20;
  bool has_data = true;  // false: the store device is an image without data
};

// Gets whole lines, many at a time.
using DumpSink = std::function<Status(std::string_view lines)>;

// metadata: null when it is on the store device.
Result<DumpTotals> dump_store(Device& store, Device* metadata, const DumpOptions& options,
                              const DumpSink& sink);

}  // namespace csnap
