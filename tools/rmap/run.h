// SPDX-License-Identifier: Apache-2.0
// The command: which part of the map is wanted, and how it is told.
// Threading: one thread. Errors: sentences for people.
#pragma once

#include <array>
#include <cstdio>
#include <optional>
#include <string>

#include "store/uuid.h"
#include "tools/rmap/reverse_map.h"

namespace csnap {

struct RmapRequest {
  std::string range;                // BEGIN..END, END not included, or one chunk; empty: all
  std::string bad_sectors;          // a file, "-" for standard input; empty: the map is wanted
  std::uint64_t block_size = 1024;  // of the numbers in it: badblocks' own
  bool json = false;
};

// The store that is told of.
struct RmapStore {
  Uuid uuid;
  RmapGeometry geometry;
  std::array<std::string, kMaxSnapshots> names;  // of snapshots by bit; empty: there is none
};

// "7..9" is two chunks. invalid; out_of_range: a part of it lies beyond the end of the store.
Result<StoreRun> parse_store_range(const std::string& text, std::uint64_t store_chunks);
// Is it one at all? invalid.
Status check_store_range(const std::string& text);

// corrupt, after all was told that could be, when parts of the tree could not be reached. begun: a
// JSON document was begun, and ended; a failure is in it.
Status run_rmap(RmapSource& source, const RmapStore& store, const RmapRequest& request,
                std::FILE* out, bool& begun);

}  // namespace csnap
