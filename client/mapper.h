// SPDX-License-Identifier: Apache-2.0
// A client's side of a session: what to say to the server and what its answers mean. A state
// machine without sockets, threads, clock or devices: frames and the time come in, frames and calls
// of its host come out, so that it runs the same in a program and in a simulation.
//
// It keeps the session over lost connections and restarted servers: resumes, sends again what was
// not answered, uploads the locks held, lets provisional writes of before run dry. It keeps the
// lease, takes part in barriers, and ends everything when the volume is gone.
//
// Threading: one thread. Callbacks run from inside received(), drained(), fail_pending(),
// disconnected() and the operations themselves, and may call operations.
// Order: what a grant allows is told to the host (granted, learned) before the callback runs, and a
// later barrier or drop comes later, so that the host's memory is never newer than the server's.
// Invariants:
//   - forget() is only called between drain() and reopen();
//   - a lease is published only after everything void was forgotten;
//   - BarrierDone, EvictDone, UploadDone and Goodbye are sent only after the I/O they wait for has
//     ended.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "client/mapping.h"
#include "client/sequential_readers.h"
#include "client/spare_places.h"
#include "proto/frame.h"
#include "store/status.h"

namespace csnap {

// What holds of the session now.
struct Standing {
  std::uint64_t lease_until_ms = 0;    // no I/O under grants may start, no data be delivered, later
  std::uint64_t read_generation = 0;   // grants of reads are of this one or void
  std::uint64_t write_generation = 0;  // provisional places are of this one or void
};

// What the mapper needs of the one who drives it. Called on the mapper's thread; of the mapper it
// may call back drained() only.
class MapperHost {
 public:
  virtual ~MapperHost() = default;
  // The session is open for the first time.
  virtual void opened(const SessionInfo& info) = 0;
  virtual void standing(const Standing& now) = 0;
  virtual void granted(std::span<const ChunkRun> unique) = 0;
  // crcs: empty, or one for each chunk, 0 where it has none.
  virtual void learned(ChunkRun chunks, StoreChunk store, bool rewritable,
                       std::span<const std::uint32_t> crcs) = 0;
  // Let no new I/O begin that relies on what is remembered; call drained() when the old has ended.
  virtual void drain() = 0;
  virtual void forget(bool unique, bool places) = 0;
  virtual void reopen() = 0;
  // For good: the volume is gone, or (before opened()) cannot be had.
  virtual void gone(const Status& why) = 0;
  // The connection is of no use: close it, then call disconnected().
  virtual void hang_up(const Status& why) = 0;
  virtual void handover(const std::vector<std::string>& addresses, std::uint64_t retry_ms) = 0;
  // Copy this, unless the lease is over or the generation another; then call copied(). Only for who
  // has called offer_copies().
  virtual void copy(const CopyTask& task) = 0;
};

struct MapperOptions {
  Uuid session;
  std::string client_name;
  std::string volume_name;           // "origin" or a snapshot's; used when there is no id
  std::optional<SnapshotId> volume;  // 0 is the origin
  bool read_only = false;
  bool receiving = false;
};

class Mapper {
 public:
  using Done = std::function<void(Status)>;
  using ReadDone = std::function<void(Result<ReadMapping>)>;
  using WriteDone = std::function<void(Result<WriteMapping>)>;

  Mapper(MapperOptions options, MapperHost& host);

  // -- the connection --------------------------------------------------------------------------
  void connected(std::uint64_t now_ms);
  void disconnected();
  void received(const Frame& frame, std::uint64_t now_ms);
  // When tick() wants to be called, at the latest.
  std::uint64_t next_tick_ms() const;
  void tick(std::uint64_t now_ms);
  // What is to be sent; empty if nothing.
  OutputBuffer take_output();
  // The host has done what drain() asked for.
  void drained();
  bool ready() const { return state_ == State::ready; }

  // -- operations ------------------------------------------------------------------------------
  // ok: granted() was told of all of the ranges.
  void unique(std::vector<ChunkRun> ranges, Done done);
  // A reader that goes on where an earlier read ended learns more places than it asked for.
  void snapshot_read(std::vector<ChunkRun> ranges, ReadDone done);
  void finish_read(std::uint64_t handle);
  // overwrite: every byte of the chunks will be written, and the host knows no place of any of
  // them that is the snapshot's own, unless it says `rewrite`. Answered without a message while
  // there are spare places.
  enum class WriteKind : std::uint8_t { partial, overwrite, rewrite };
  void snapshot_write(std::vector<ChunkRun> ranges, WriteKind kind, WriteDone done);
  // ok: the data is the snapshot's content. stale: do the write again from snapshot_write() on.
  void finish_write(std::uint64_t handle, std::vector<FinishedRun> runs, Done done);
  void abandon_write(std::uint64_t handle);
  // Whether the host makes copies; at first not. Those under way are its own to end.
  void offer_copies(bool able);
  // Nothing of the copy is in flight any more: the CRC-32C of each chunk, or why it was not made.
  void copied(std::uint64_t id, const Result<std::vector<std::uint32_t>>& crcs);
  // Ends all operations that wait. They may have happened.
  void fail_pending(const Status& why);
  // The session is to end. done() runs when the server knows; until then it is told on every
  // connection, because a server waits for sessions that just stay away until their lease is over.
  void goodbye(std::function<void()> done);

 private:
  enum class State : std::uint8_t {
    disconnected,
    greeting,   // Hello sent
    voided,     // the session is new: what was remembered is being forgotten
    draining,   // the server is new: reads and writes of before have not ended
    uploading,  // UploadDone sent
    ready,
  };
  struct Request {
    wire::MessageType type;
    std::unique_ptr<google::protobuf::MessageLite> message;
    std::vector<ChunkRun> ranges;
    std::vector<FinishedRun> runs;   // finish_write
    std::uint64_t write_handle = 0;  // finish_write
    std::vector<Done> done;          // unique (of everybody who waits for it), finish_write
    ReadDone read_done;
    WriteDone write_done;
    bool asks_spares = false;
    ChunkRun ahead{};  // snapshot_read: what may be read next
    bool sent = false;
    std::uint64_t not_before_ms = 0;
  };
  struct Read {
    std::uint64_t server_id = 0;
    std::vector<ChunkRun> on_origin;
    bool in_store = false;
  };
  using Requests = std::map<std::uint64_t, Request>;

  // mapper.cc: the session
  void send_hello(std::uint64_t now_ms);
  void send_goodbye();
  void on_hello_reply(const Frame& frame);
  void on_hello_error(const Frame& frame);
  void on_session_reply(const Frame& frame);
  void go_on();
  Status check_same(const SessionInfo& info) const;
  void start_void();
  void start_restart();
  void continue_restart();
  void send_uploads();
  void on_upload_reply(const Frame& frame);
  void on_upload_error();
  void become_ready();
  void publish();
  void send_heartbeat(std::uint64_t now_ms);
  void answer_heartbeat(const Frame& frame);
  void send(wire::MessageType type, std::uint64_t id, const google::protobuf::MessageLite& message);

  // mapper_pushes.cc: what the server says unasked
  void on_push(const Frame& frame);
  void on_evict(const wire::Evict& evict);
  void start_drain(bool unique, bool places);
  void finish_evict();
  void send_barriers_done();
  void volume_gone(const Status& why);

  // mapper_requests.cc: operations and their replies
  std::uint64_t add_request(Request request);
  void pump();
  void on_reply(const Frame& frame);
  void on_error(Requests::iterator it, const Frame& frame);
  void on_late_reply(const Frame& frame);
  void on_unique_reply(Request request);
  void on_read_reply(Request request, const Frame& frame);
  bool write_to_spares(const std::vector<ChunkRun>& ranges, const WriteDone& done);
  void on_write_reply(Request request, const Frame& frame);
  void on_finish_write_reply(Request request);
  static void fail(Request& request, const Status& why);
  Request take(Requests::iterator it);
  void fail_finish_writes();
  bool room_for(const Request& request) const;
  void send_finished_reads();

  // mapper_copies.cc
  void send_offer();
  void on_copy(CopyTask task);
  void send_copy_done(std::uint64_t id, const Result<std::vector<std::uint32_t>>& crcs);

  MapperOptions options_;
  MapperHost& host_;
  State state_ = State::disconnected;
  OutputBuffer output_;
  std::uint64_t now_ms_ = 0;
  std::optional<SessionInfo> info_;  // once opened
  Status gone_;

  std::uint64_t next_id_ = 1;
  std::uint64_t hello_id_ = 0;
  std::uint64_t hello_sent_ms_ = 0;
  std::uint64_t heartbeat_id_ = 0;  // 0: none is unanswered
  std::uint64_t heartbeat_sent_ms_ = 0;
  std::uint64_t next_heartbeat_ms_ = 0;
  Standing standing_;
  std::uint64_t lease_from_ms_ = 0;  // of the last proof that the server knows us

  bool begin_anew_ = false;    // the server does not know the session: the next Hello begins it
  bool void_pending_ = false;  // the session is new and not everything old is forgotten yet
  bool owes_upload_ = false;   // kept over connections until UploadDone was answered
  std::set<std::uint64_t> upload_ids_;
  std::uint64_t upload_done_id_ = 0;

  bool drain_under_way_ = false;
  bool forget_unique_ = false;
  bool forget_places_ = false;
  bool evict_unanswered_ = false;
  std::set<std::uint64_t> barriers_;  // begun, not answered by us

  Requests requests_;
  std::deque<std::uint64_t> unsent_;
  std::uint64_t sent_ = 0;        // requests without an answer
  std::uint64_t sent_reads_ = 0;  // of these, snapshot reads
  std::uint64_t next_handle_ = 1;
  std::map<std::uint64_t, Read> reads_;  // granted, not finished
  std::set<std::uint64_t> writes_;       // handles of provisional writes, not finished
  SparePlaces spares_;
  SequentialReaders readers_;
  std::vector<std::uint64_t> finished_reads_;  // server's ids, to be told
  bool makes_copies_ = false;
  bool copies_offered_ = false;     // on this connection
  std::set<std::uint64_t> copies_;  // asked for and not ended, on whatever connection
  std::uint64_t goodbye_id_ = 0;
  std::function<void()> goodbye_done_;
};

}  // namespace csnap
