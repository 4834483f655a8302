// SPDX-License-Identifier: Apache-2.0
// What the server tells a client: about its session, and where chunks lie. Plain values; wire.h
// makes them of messages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/types.h"
#include "store/uuid.h"

namespace csnap {

struct RemoteDevice {
  std::string path;  // as the server has it
  std::uint64_t size = 0;
  std::string identity;  // as the server sees it; empty when it cannot tell
};

struct SessionInfo {
  Uuid store;
  Uuid incarnation;  // of the server process
  SnapshotId volume;
  Uuid volume_uuid;
  std::string volume_name;
  std::uint64_t size = 0;        // bytes
  std::uint64_t chunk_size = 0;  // bytes
  RemoteDevice origin_device;
  RemoteDevice store_device;
  std::uint64_t lease_ms = 0;
  std::uint64_t heartbeat_ms = 0;
  std::uint64_t max_request_chunks = 0;
  std::uint64_t max_requests = 0;
  std::uint64_t max_reads = 0;
  bool read_only = false;
  bool copies = false;  // the server would have the client make the copies that it needs
  std::string server_name;

  bool is_origin() const { return volume == kOrigin; }
  std::uint64_t chunks() const { return (size + chunk_size - 1) / chunk_size; }
};

// One run of a snapshot's chunks, where to read it.
struct ReadSource {
  ChunkRun chunks;
  bool on_origin = false;  // at the same place of the origin, which is locked meanwhile
  StoreChunk store;        // else
  bool exclusive = false;  // may be remembered
  bool rewritable = false;
  // In the store: the CRC-32C of each chunk's data, 0 where it has none. Empty: none has one.
  std::vector<std::uint32_t> crcs;
};
// What a snapshot read was granted. `handle` is the mapper's, to be given back with finish_read().
struct ReadMapping {
  std::uint64_t handle = 0;
  std::uint64_t generation = 0;  // of read grants; data is void once the session is at another
  std::vector<ReadSource> sources;
};

struct WriteTarget {
  ChunkRun chunks;
  StoreChunk store;
  bool provisional = false;  // needs finish_write(); else known to be rewritable from now on
};
// handle is 0 when nothing is provisional; else it goes to finish_write() or abandon_write().
struct WriteMapping {
  std::uint64_t handle = 0;
  std::uint64_t generation = 0;  // of write grants; no writing to the places at another
  std::vector<WriteTarget> targets;
};
struct FinishedRun {
  ChunkRun chunks;
  StoreChunk store;
  std::vector<std::uint32_t> crcs;  // CRC-32C of each chunk's data
};

// What the server would have copied.
struct CopyTask {
  std::uint64_t id = 0;
  std::uint64_t generation = 0;  // of write grants; no copying at another
  bool from_origin = true;       // else from the store
  std::uint64_t from = 0;        // the first chunk there
  StoreRun to;
  // From the store: of each chunk, the CRC-32C that it must have, 0 where it has none; or empty.
  std::vector<std::uint32_t> crcs;
};

}  // namespace csnap
