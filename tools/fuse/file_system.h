// SPDX-License-Identifier: Apache-2.0
// The file system: what libfuse's callbacks need, and the callbacks.
//   /origin, /snapshots/NAME, /by-id/ID   files of the volume's size; by-id/0 is the origin
// Nothing is kept about files that the kernel knows: what a node id names is asked of the server.
// Threading: callbacks come from any thread, many at once.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <sys/stat.h>

#include <cstdint>
#include <memory>
#include <string>

#include "tools/fuse/contents.h"
#include "tools/fuse/nodes.h"
#include "tools/fuse/snapshots.h"
#include "tools/fuse/volumes.h"

namespace csnap {

struct FileSystem {
  FileSystem(const SharedVolumes::Settings& settings, bool read_only, const Uuid& store_uuid)
      : snapshots(settings.servers, store_uuid),
        contents(snapshots, settings.servers, settings.origin_path),
        volumes(settings, read_only),
        store(store_uuid),
        generation(generation_of(store_uuid)) {}

  Snapshots snapshots;
  Contents contents;
  Volumes volumes;
  const Uuid store;
  const std::uint64_t generation;

  // stale when it was deleted.
  Result<struct stat> attributes(NodeId node);
};

// Seconds for which the kernel may believe what it was told: attributes of a volume (what changes
// elsewhere is told to it), and names that never change. Names of snapshots it asks for each time.
inline constexpr double kBelieveAttributes = 1, kBelieveFixedNames = 3600;

FileSystem& file_system_of(fuse_req_t request);
int errno_of(Code code);
// Answers with the error, or with 0.
void reply_status(fuse_req_t request, const Status& status);

// Names, folders, attributes; and what is done to files, in file_ops.cc.
fuse_lowlevel_ops file_system_operations();
void add_file_operations(fuse_lowlevel_ops& operations);

}  // namespace csnap
