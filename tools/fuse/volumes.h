// SPDX-License-Identifier: Apache-2.0
// The volumes whose files are open, and when they were written to.
// Threading: any thread. Ownership: files that nobody closes are closed at the end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "client/shared_volumes.h"

namespace csnap {

struct OpenFile {
  std::uint64_t id = 0;
  std::shared_ptr<Volume> volume;
};

class Volumes {
 public:
  Volumes(SharedVolumes::Settings settings, bool read_only)
      : volumes_(std::move(settings)), read_only_(read_only) {}

  // Who only reads must not keep others from a volume, as a writer does: a receive, a demote, a
  // seal.
  Result<std::shared_ptr<Volume>> open(std::uint64_t id, bool to_write) {
    return volumes_.open(id, !to_write);
  }
  bool read_only() const { return read_only_; }

  OpenFile& keep(std::uint64_t id, std::shared_ptr<Volume> volume);
  // What was written is made durable, for afterwards nobody knows of it.
  void close(OpenFile& file);
  void close_all();
  // Everything is durable that was written before through whichever file of the volume, also one
  // that is closed.
  Status flush(std::uint64_t id);

  // When it was written to through here, in nanoseconds since 1970; 0: never.
  std::uint64_t written_at(std::uint64_t id) const;
  void written(std::uint64_t id);

 private:
  SharedVolumes volumes_;
  const bool read_only_;
  mutable std::mutex mutex_;
  std::map<const OpenFile*, std::unique_ptr<OpenFile>> files_;
  std::map<std::uint64_t, Status> lost_;  // what closing could not make durable, until told
  std::map<std::uint64_t, std::uint64_t> times_;
};

}  // namespace csnap
