// SPDX-License-Identifier: Apache-2.0
// Making a store: everything that can be wrong is found before anything is changed.
// Threading: any. Errors: sentences for people.
#pragma once

#include "store/status.h"
#include "store/superblock.h"
#include "tools/mkstore/options.h"

namespace csnap {

struct MadeStore {
  Superblock superblock;
  std::uint64_t store_size = 0;     // bytes
  std::uint64_t metadata_size = 0;  // bytes; 0: on the store
  bool file_made = false;
};

// With options.dry_run: what would be made. busy when a server has the store, or it is mounted,
// whatever options.force says; exists when it holds something and options.force is not set.
Result<MadeStore> make_store(const MkstoreOptions& options, const Uuid& uuid);

}  // namespace csnap
