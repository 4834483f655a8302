// SPDX-License-Identifier: Apache-2.0
// One connection with a session of its own that keeps so many requests in flight, and does no I/O:
// a client without disks. What it was granted it gives back at once.
//
// Threading: the io_context's thread; the io_context does not run any more when it is destroyed.
// Errors: told by Events::failed. What the server refused leaves the session as it is, all else
// closes the connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/link.h"
#include "client/spare_places.h"
#include "store/types.h"
#include "tools/bench/places.h"

namespace csnap {

enum class Kind : std::uint8_t {
  unique,     // may I overwrite these chunks of the origin?
  read,       // where do these chunks of a snapshot lie? And the lock back
  write,      // where may I write parts of these chunks of a snapshot?
  overwrite,  // where may I write these chunks as a whole? And: they are written
};
const char* to_string(Kind kind);

struct AskerEvents {
  std::function<void()> ready;                     // the session is there
  std::function<void(std::uint64_t ns)> answered;  // one request, all of it
  std::function<void(const Status& why)> failed;
  std::function<void()> done;  // stopped, or there is nothing left to ask for, and all answered
  std::function<void()> left;  // the server knows that the session is over
};

class Asker {
 public:
  using Clock = std::chrono::steady_clock;

  // An empty snapshot: the origin. places: the caller's.
  Asker(boost::asio::io_context& io, const Address& address, Kind kind, std::string snapshot,
        std::size_t in_flight, Places& places, AskerEvents events);
  ~Asker();

  void start();  // asking; after ready
  void stop();   // what is in flight is still answered
  void heartbeat();
  // Ends the session, after done: a server waits a lease for those that just go away.
  void leave();
  std::uint32_t heartbeat_ms() const { return heartbeat_ms_; }
  // How long the server has said nothing.
  Clock::duration silence() const { return Clock::now() - heard_; }

 private:
  struct Pending {
    Clock::time_point since;
    ChunkRun chunks;
    bool asks_spares = false;
  };

  void hello();
  void on_frame(const Frame& frame);
  void on_welcome(const Frame& frame);
  void on_push(const Frame& frame);
  void on_reply(const Frame& frame);
  void on_error(const Frame& frame);
  void ask();
  void ask_for(const Pending& pending);
  bool write_to_spares(const Pending& pending);
  void add_finished(ChunkRun chunks, StoreChunk store);
  void send_finished(const Pending& pending);
  // The places of an overwrite came: says that it is done. false: none was new.
  Result<bool> finish_write(const Pending& pending);
  void append(wire::MessageType type, std::uint64_t id, const google::protobuf::MessageLite& body);
  void flush();
  void fail(const Status& why);

  boost::asio::io_context& io_;
  const Kind kind_;
  const std::string snapshot_;
  const std::size_t in_flight_;
  Places& places_;
  AskerEvents events_;
  std::shared_ptr<Link> link_;
  OutputBuffer output_;
  bool flush_posted_ = false;
  bool asking_ = false, closed_ = false, told_done_ = false;
  Clock::time_point heard_ = Clock::now();
  std::uint64_t next_id_ = 1;
  std::uint32_t heartbeat_ms_ = 0;
  std::unordered_map<std::uint64_t, Pending> pending_;
  // Made once; cleared messages keep their memory.
  wire::UniqueRequest unique_;
  wire::SnapshotRead read_;
  wire::SnapshotReadReply read_reply_;
  wire::FinishRead finish_read_;
  SparePlaces spares_;
  wire::SnapshotWrite write_;
  wire::SnapshotWriteReply write_reply_;
  wire::FinishWrite finish_write_;
};

}  // namespace csnap
