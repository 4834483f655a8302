// SPDX-License-Identifier: Apache-2.0
// libcsnap: volumes of a csnap store, for C++ programs. The one header to include.
//
//   csnap::OpenOptions options;
//   options.volume = "monday";                       // a snapshot; "origin" is the origin
//   auto volume = csnap::Volume::open(options);      // of the server on this machine
//   if (!volume.ok()) complain(volume.status());
//   auto status = (*volume)->read(0, buffer);
//
// The data goes straight between the caller's memory and the disks; the server (csnapd) is only
// asked what is not known yet. So the devices must be reachable from here, under the paths the
// server uses or those given in the options.
//
// Threading: a Volume and an Admin may be used by any number of threads at once; calls block.
// Overlapping writes from several threads land in any order; other bytes are never disturbed, also
// those in the same sector, by writes of the same Volume.
// Errors: a Status. `stale`: the snapshot was deleted, or the server came back with another store
// or device, and this Volume ends every call so from then on; who wants the new one opens it anew.
// A lost connection or a restarted server is no error: calls wait until it is back, unless
// give_up_after says otherwise (`unavailable`; a write may or may not have happened). fork(): use
// none of this in the child.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "client/io_parts.h"
#include "store/device.h"
#include "store/status.h"
#include "store/uuid.h"

namespace csnap {

struct OpenOptions {
  // `unix:PATH` or `HOST:PORT`, tried in order; empty: the default addresses of this machine.
  std::vector<std::string> addresses;
  std::string volume = "origin";           // "origin" or the name of a snapshot
  std::optional<std::uint64_t> volume_id;  // instead of the name; 0 is the origin
  bool read_only = false;
  bool receiving = false;   // of the origin: a stream is to be received into it, by nobody else
  std::string client_name;  // in the server's logs and lists; empty: the program and its pid
  // Where the devices are here; empty: where the server has them. Also tree:DIRECTORY?size=SIZE.
  std::string origin_path;
  std::string store_path;
  // How long open() waits for a server that does not answer; 0: one attempt at each address.
  std::chrono::milliseconds open_timeout{5000};
  // How long calls wait for a server that went away; 0: for ever.
  std::chrono::milliseconds give_up_after{0};
  std::size_t place_cache_bytes = 32u << 20;  // for what is known of a snapshot's chunks
};

struct WriteFlags {
  bool fua = false;  // durable before the call returns
};

// A part of a volume. Hints: data may be reported where there is none, never the reverse.
struct BlockExtent {
  std::uint64_t offset = 0;  // bytes
  std::uint64_t length = 0;
  bool allocated = true;
  bool zero = false;  // reads as zeros
};

class Volume {
 public:
  // Opens a session and the devices. not_found: no such snapshot; unavailable: no server;
  // denied and io_error: a device cannot be opened; invalid: a device is not the server's.
  static Result<std::unique_ptr<Volume>> open(const OpenOptions& options);
  // Says goodbye to the server. REQUIRES: no call is under way. Does not flush.
  ~Volume();
  Volume(const Volume&) = delete;
  Volume& operator=(const Volume&) = delete;

  std::uint64_t size() const;        // bytes
  std::uint64_t chunk_size() const;  // bytes; what is copied at a time
  std::uint32_t block_size() const;  // bytes; multiples of this need no read before a write
  bool read_only() const;
  bool is_origin() const;
  std::uint64_t id() const;  // 0: the origin
  const Uuid& uuid() const;
  const Uuid& store_uuid() const;
  const std::string& name() const;  // when it was opened
  const Uuid& session() const;      // as the server knows it

  // Any offset and length within the volume (else out_of_range), any memory; memory on a 4096 byte
  // boundary is not copied.
  Status read(std::uint64_t offset, std::span<std::byte> data);
  Status write(std::uint64_t offset, std::span<const std::byte> data, WriteFlags flags = {});
  Status zero(std::uint64_t offset, std::uint64_t length, WriteFlags flags = {});
  // The content is of no use any more; it reads as zeros.
  Status trim(std::uint64_t offset, std::uint64_t length, WriteFlags flags = {});
  // The same for many pieces: the server is asked once for all of them, and the disks work on all
  // of them at once, in the order in which they lie there. REQUIRES: by ascending offset, apart
  // from each other, none empty. After a failure any part of them may have been read or written.
  Status read(std::span<const ReadPart> parts);
  Status write(std::span<const WritePart> parts);
  // Makes every write durable whose call returned before, of whichever thread.
  Status flush();
  std::vector<BlockExtent> block_status(std::uint64_t offset, std::uint64_t length);
  // Where the origin's device has data at or after `offset`, at most size(): see
  // Device::next_data(). Of the origin that is all; of a snapshot see VolumeData.
  Result<DataExtent> next_origin_data(std::uint64_t offset);
  // Why this volume is of no use any more; ok while it is.
  Status health() const;

 private:
  class Impl;
  explicit Volume(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace csnap

#include "client/admin.h"
#include "client/stream_connection.h"
