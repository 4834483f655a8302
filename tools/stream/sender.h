// SPDX-License-Identifier: Apache-2.0
// Sends a snapshot as a stream: the whole of it, or what differs from another one. Which chunks
// those are comes from the exception map; several threads read them, each many at once and in the
// order in which they lie on the disks, and the stream has them by ascending offset.
//
// The snapshot is held open meanwhile, and before the stream ends it is made sure that it is there
// still and was not written to: else it makes no whole stream.
// Threading: one thread calls; it has threads of its own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/csnap.h"
#include "store/types.h"
#include "tools/stream/byte_output.h"
#include "tools/stream/identity.h"

namespace csnap {

struct SendOptions {
  std::vector<std::string> addresses;
  std::string name;
  std::string parent;  // empty: send all
  // What the volume is called in the stream; empty: as it was when it came here, or kVolumeFile.
  std::string file;
  std::optional<ResumeToken> resume;
  // How long a server that went away is waited for; 0: for ever.
  std::chrono::milliseconds give_up_after{0};
  // While zeros are read, of which nothing is sent, a sign of life goes out every so often: who
  // receives over a connection takes a long silence for its end.
  std::chrono::milliseconds sign_of_life{20'000};
};

// What a snapshot that was not written to since is called in streams: what was received goes on as
// what it was sent as, so it can go back, too.
StreamIdentity sent_as(const Admin::SnapshotEntry& entry);

// What there is to be sent.
struct SendPlan {
  StreamIdentity identity;
  std::optional<StreamIdentity> parent;
  std::uint64_t created_ns = 0;
  std::uint64_t volume_size = 0;
  std::uint64_t from = 0;      // bytes of the volume that are there already
  std::vector<ChunkRun> runs;  // to be read
  std::uint64_t bytes = 0;     // in them; what a full stream is known to leave out is not
};

class Sender {
 public:
  using ProgressFunction = std::function<void(std::uint64_t bytes_read)>;

  // not_found: no such snapshot; busy: it was written to and is open for writing; stale, invalid:
  // the token is not of these snapshots.
  static Result<std::unique_ptr<Sender>> prepare(Admin& admin, const SendOptions& options);

  const SendPlan& plan() const { return plan_; }
  // Of those, that were sent; what is all zeros is not, in a full stream.
  std::uint64_t data_bytes() const { return data_bytes_; }
  Status send(ByteOutput& output, const ProgressFunction& progress);

 private:
  Sender(Admin& admin, SendOptions options)
      : admin_(admin), options_(std::move(options)), file_(options_.file) {}
  Status open();
  Status plan_all();
  Status plan_differences();
  Status finish_plan();
  Status check_token() const;
  void cut_front(std::uint64_t offset);
  Result<std::unique_ptr<Volume>> open_volume(const Admin::SnapshotEntry& entry) const;
  Status send_data(ByteOutput& output, const ProgressFunction& progress);
  Status send_sign_of_life(ByteOutput& output) const;
  // stale if not all of them are.
  Status still_as_it_was(const std::vector<Admin::SnapshotEntry>& entries);

  Admin& admin_;
  const SendOptions options_;
  std::string file_;     // its name in the stream
  std::string renamed_;  // and at the end of it; empty: the same
  Admin::SnapshotList list_;
  Admin::SnapshotEntry snapshot_;
  std::unique_ptr<Volume> volume_;
  SendPlan plan_;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace csnap
