// SPDX-License-Identifier: Apache-2.0
// Receives into the origin of a running server. The origin is brought to the content of a snapshot
// and then the snapshot is made of it, so snapshots that are there already stay as they are,
// whatever happens. What the store remembers, and why a crash at any moment does no harm:
//
//   nothing is being received    the origin is at the last received snapshot, or somebody wrote to
//                                it: the exception map says so exactly
//   a receive, up to an offset   the origin holds all of the stream below the offset, and perhaps
//                                more; nobody else may write to it until the stream has gone on to
//                                its end or the origin was brought back to the parent
//
// Threading: one thread. Errors: exists, busy, not_found when the target is not where the stream
// begins; denied in a primary; those of the volume.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "client/csnap.h"
#include "store/replication.h"
#include "store/types.h"
#include "tools/stream/clone_sources.h"
#include "tools/stream/identity.h"
#include "tools/stream/stream_applier.h"
#include "tools/stream/write_behind.h"

namespace csnap {

struct ReceiveOptions {
  std::vector<std::string> addresses;
  bool force = false;    // overwrite what is there and is in no snapshot
  bool replica = false;  // where the role is none, it is replica as soon as a stream has begun
  std::string file;      // its name in a snapshot of our own that was sent away
};

// Clients that have the origin open to write to it and are not gone, by name.
Result<std::string> who_has_origin(Admin& admin);

// Where a receive that was cut off can be gone on with.
std::optional<ResumeToken> token_of(const std::optional<UnfinishedReceive>& receiving);

class OriginTarget : public ReceiveTarget {
 public:
  // Nobody else can write to the origin while it lives. A receive that died may still hold it for a
  // while: that is waited for.
  static Result<std::unique_ptr<OriginTarget>> open(Admin& admin, const ReceiveOptions& options);
  ~OriginTarget() override;

  std::uint64_t size() const override { return origin_->size(); }
  Result<std::string> begin(const StreamBegin& begin) override;
  Status write(std::uint64_t offset, std::span<const std::byte> data) override;
  Status zero(std::uint64_t offset, std::uint64_t length) override;
  Status clone(const std::optional<StreamIdentity>& from, std::uint64_t from_offset,
               std::uint64_t offset, std::uint64_t length) override;
  Status named(const std::string& path) override;
  Status finish() override;

  // The stream was cut off: what came of it is made durable, to go on with.
  Status keep();
  // The stream was bad, or is given up: the origin is brought back to where it was.
  // With force, when the snapshot that it was at is gone: it stays as it is.
  Status roll_back();
  bool left_as_it_is() const { return left_as_it_is_; }
  // All of a stream is here, and can be gone on with: only the snapshot could not be made.
  bool whole() const { return whole_ && token(); }
  // Of what is unfinished, if it can be gone on with.
  std::optional<ResumeToken> token() const { return token_of(receiving_); }
  std::uint64_t reached() { return writer_ ? writer_->written_below() : 0; }

 private:
  OriginTarget(Admin& admin, ReceiveOptions options)
      : admin_(admin), options_(std::move(options)), sources_(options_.addresses) {}
  Status check_name(const std::string& name) const;
  Status take_role();
  Result<std::string> begin_full(const StreamBegin& begin);
  Result<std::string> begin_incremental(const StreamBegin& begin);
  Result<std::string> go_on(const StreamBegin& begin);
  Result<std::vector<ChunkRun>> changed_since(std::uint64_t id);
  Status copy_back(std::uint64_t id, const std::vector<ChunkRun>& runs);
  Status clear(bool refuse);
  Status copy(Volume& from, std::uint64_t from_offset, WriteBehind& writer, std::uint64_t offset,
              std::uint64_t length);
  Status leave_order();
  Status flush();
  Status save_position();
  Status save();
  Result<bool> was_made();

  using Clock = std::chrono::steady_clock;
  Admin& admin_;
  const ReceiveOptions options_;
  std::optional<UnfinishedReceive> receiving_;  // as the store knows it, or will by save()
  ReplicationRole role_ = ReplicationRole::none;
  Admin::SnapshotList list_;
  std::unique_ptr<Volume> origin_;
  std::unique_ptr<WriteBehind> writer_;
  CloneSources sources_;
  Status flushes_;  // the first that failed
  bool left_as_it_is_ = false;
  bool whole_ = false;
  Clock::time_point saved_;
};

}  // namespace csnap
