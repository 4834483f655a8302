// SPDX-License-Identifier: Apache-2.0
// Receives into the origin of a running server. The origin is brought to the content of a snapshot
// and then the snapshot is made of it, so snapshots that are there already stay as they are,
// whatever happens. What the state file remembers, and why a crash at any moment does no harm:
//
//   nothing unfinished           the origin is at the last received snapshot, or somebody wrote to
//                                it: the exception map says so exactly
//   unfinished, offset           the origin holds all of the stream below the offset, and perhaps
//                                more; it is brought back to the parent, or the stream goes on
//   unfinished, making           the origin is complete and durable; the snapshot may be there
//
// Threading: one thread. Errors: exists, busy, not_found when the target is not where the stream
// begins; those of the volume.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/csnap.h"
#include "store/types.h"
#include "tools/stream/receive_state.h"
#include "tools/stream/stream_applier.h"
#include "tools/stream/write_behind.h"

namespace csnap {

struct ReceiveOptions {
  std::vector<std::string> addresses;
  bool force = false;               // overwrite what is there and is in no snapshot
  std::string file = "volume.img";  // its name in a snapshot of our own that was sent away
};

class OriginTarget : public ReceiveTarget {
 public:
  static Result<std::unique_ptr<OriginTarget>> open(Admin& admin, const ReceiveOptions& options,
                                                    ReceiveState& state);
  ~OriginTarget() override;

  std::uint64_t size() const override { return origin_->size(); }
  Result<std::string> begin(const StreamBegin& begin) override;
  Status write(std::uint64_t offset, std::span<const std::byte> data) override;
  Status zero(std::uint64_t offset, std::uint64_t length) override;
  Status clone(const std::optional<StreamIdentity>& from, const std::string& path,
               std::uint64_t from_offset, std::uint64_t offset, std::uint64_t length) override;
  void named(const std::string& path) override { state_.unfinished->path = path; }
  Status finish() override;

  // The stream was cut off: what came of it is made durable, to go on with.
  Status keep();
  // The stream was bad, or is given up: the origin is brought back to where it was.
  Status roll_back();
  // Of what is unfinished, if it can be gone on with.
  std::optional<ResumeToken> token() const;
  std::uint64_t reached() { return writer_ ? writer_->written_below() : 0; }

 private:
  OriginTarget(Admin& admin, ReceiveOptions options, ReceiveState& state)
      : admin_(admin), options_(std::move(options)), state_(state) {}
  Status check_name(const std::string& name) const;
  Status check_alone();
  Result<ReceivedSnapshot> find_parent(const StreamIdentity& identity) const;
  Result<std::string> begin_full(const StreamBegin& begin);
  Result<std::string> begin_incremental(const StreamBegin& begin);
  Result<std::string> go_on(const StreamBegin& begin);
  Result<std::vector<ChunkRun>> changed_since(std::uint64_t id);
  Status copy_back(std::uint64_t id, const std::vector<ChunkRun>& runs);
  Status clear(bool refuse);
  Status check_nobody_else_wrote();
  Result<Volume*> received_volume(const StreamIdentity& identity, const std::string& path);
  Status copy(Volume& from, std::uint64_t from_offset, WriteBehind& writer, std::uint64_t offset,
              std::uint64_t length);
  Status save_position();
  void mark(std::uint64_t offset, std::uint64_t length);

  using Clock = std::chrono::steady_clock;
  Admin& admin_;
  const ReceiveOptions options_;
  ReceiveState& state_;
  Admin::SnapshotList list_;
  std::unique_ptr<Volume> origin_;
  std::string client_name_;
  std::unique_ptr<WriteBehind> writer_;
  std::map<std::uint64_t, std::unique_ptr<Volume>> sources_;  // of clones, by id
  std::vector<bool> ours_;  // by chunk: this process wrote it; empty: not known of all
  bool in_order_ = true;    // zero() and clone() were not called
  Clock::time_point saved_;
};

}  // namespace csnap
