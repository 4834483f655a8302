// SPDX-License-Identifier: Apache-2.0
// csnap-mkstore's command line. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/status.h"
#include "store/types.h"

namespace csnap {

struct MkstoreOptions {
  std::string origin;
  std::string store;
  std::string metadata;  // empty: on the store
  std::string label;
  std::uint64_t size = 0;          // bytes of a store file to be made; 0: not asked for
  std::uint64_t journal_size = 0;  // bytes; 0: by the size of the store
  unsigned chunk_shift = kMinChunkShift;
  bool preallocate = false;  // a store file is written full of zeros
  bool force = false;
  bool dry_run = false;
  bool json = false;
  bool help = false;  // when one of these two is set, nothing else is
  bool version = false;
};

// What --help prints.
std::string mkstore_usage();
// The arguments, without the program's name. invalid, with a sentence for people, for anything
// that cannot be meant.
Result<MkstoreOptions> parse_mkstore_options(const std::vector<std::string>& arguments);

}  // namespace csnap
