// SPDX-License-Identifier: Apache-2.0
// Packs the metadata of a store, damaged or not, without the data of its users: for those who are
// to find out what happened to it. docs/format/pack.md says what goes in and what a pack tells of a
// store all the same. Nothing is written to the devices, and nothing is replayed.
// Threading: the devices' thread; blocks. Nobody else may be changing the store.
// Memory: a few megabytes, a bit for each block of the journal, and what PackWriter holds.
#pragma once

#include <cstdint>
#include <functional>

#include "store/device.h"
#include "store/pack_writer.h"
#include "store/status.h"

namespace csnap {

struct Packed {
  std::uint64_t blocks = 0;
  std::uint64_t unreadable = 0;  // blocks that belong in it and could not be read
  std::uint64_t foreign = 0;     // blocks of metadata's areas that hold something else: left out
  std::uint64_t damaged = 0;     // blocks in it that are damaged, packed as they are
};

struct PackOptions {
  std::function<void(std::uint64_t done, std::uint64_t total)> progress;
};

// metadata: null when it is on the store device. Fails when no superblock is to be found, or the
// sink fails; a block that cannot be read is left out.
Result<Packed> pack_store(Device& store, Device* metadata, const PackOptions& options,
                          PackWriter::Sink sink);

}  // namespace csnap
