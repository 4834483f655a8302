// SPDX-License-Identifier: Apache-2.0
// The session layer: between the byte streams of connections and the engine. It cuts streams into
// frames, keeps the clients' sessions and their leases, checks what clients ask before the engine
// sees it, and turns what the engine says into frames. docs/protocol.md is what it implements. No
// socket, no thread, no clock: all of that is the transport's and the owner's.
//
// Turns: the owner's loop calls tick() first, then any number of on_...() and Engine::poll(), then
// end_turn(). Replies of a turn lie together in a connection's output, to be sent in one piece.
// Threading: one thread, the engine's.
// Ownership: transport and engine must outlive it, or, the engine, be gone before it.
// Errors: a client's mistake is answered to that client and to nobody else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proto/frame.h"
#include "server/engine.h"
#include "store/uuid.h"

namespace csnap {

using ConnectionId = std::uint64_t;  // given by the transport; never 0, never used again

// A client that sends streams for the origin from now on.
struct StreamRequest {
  bool force = false;       // overwrite what the origin holds and no snapshot does
  bool replica = false;     // a server whose role is none becomes a replica
  std::string client_name;  // for the log
};

// What whoever connects may do besides I/O and looking.
struct PeerRights {
  bool administer = false;
  bool send_streams = false;
};

// What the service needs of sockets. It is called from within the service's functions: it must not
// call the service back, but for take_output().
class Transport {
 public:
  virtual ~Transport() = default;
  // There is output: take_output() when it can be sent, now or later. At most once a turn, from
  // end_turn().
  virtual void wants_write(ConnectionId connection) = 0;
  // Send what was taken before and `last`, then close. The service has forgotten the connection.
  virtual void close(ConnectionId connection, OutputBuffer last) = 0;
  // Whether hand_over() may be called now. busy: not before a stream that is coming has ended;
  // unsupported: there is nobody here who takes streams.
  virtual Status takes_stream() = 0;
  // Send what was taken before and `last`; after that the connection belongs to whoever takes the
  // stream. The service has forgotten it. REQUIRES: takes_stream() was ok this very moment.
  virtual void hand_over(ConnectionId connection, OutputBuffer last, StreamRequest request) = 0;
  // No more on_bytes() until resume_read(), please: its output is not taken, or its session is
  // being opened. (What comes nevertheless is kept.)
  virtual void pause_read(ConnectionId connection) = 0;
  virtual void resume_read(ConnectionId connection) = 0;
};

struct DeviceDescription {
  enum class Kind : std::uint8_t { origin, store, metadata };
  Kind kind = Kind::origin;
  std::string path;
  std::uint64_t size = 0;  // bytes
  std::string identity;    // what tells it from other devices, if anything does; see DeviceInfo
};

// Of which sessions the server has the clients make the copies that they need, if they can.
enum class ClientCopyPolicy : std::uint8_t {
  off,
  elsewhere,  // of clients on other machines: on this one the server's own copies are as good
  on,
};

struct ServiceOptions {
  std::uint32_t lease_ms = 10'000;
  std::uint32_t heartbeat_ms = 1'000;
  std::vector<DeviceDescription> devices;
  Uuid incarnation;                                   // of this server process; random
  std::string server_name;                            // "csnapd 0.1.0, pid 7 on host.example"
  std::uint64_t max_request_chunks = kMaxWireChunks;  // at most that, and the engine's limit
  std::uint32_t max_requests = 1024;                  // unanswered, of a connection
  std::uint64_t max_chunks = 1u << 20;                // in the ranges of all of these
  std::uint32_t max_reads = 65'536;                   // unfinished snapshot reads of a session
  std::size_t max_output = 4u << 20;                  // bytes not taken: then nothing more is read
  ClientCopyPolicy client_copies = ClientCopyPolicy::elsewhere;
  std::function<void(EngineEvents::Level, const std::string&)> log;
};

class Service final : public EngineEvents {
 public:
  Service(ServiceOptions options, Transport& transport);
  ~Service() override;
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Once, before anything below. (The engine is opened with the service as its events.)
  void set_engine(Engine& engine);

  // -- the loop --------------------------------------------------------------------------------
  // now_ms: a clock that never goes back, read just now: leases are counted from what it says
  // when bytes come in, so it must not lag behind. A pause between ticks of more than heartbeat_ms
  // is this process's fault and is not held against the clients. Passes both times on to
  // Engine::tick(); ends the sessions whose leases ran out.
  void tick(std::uint64_t now_ms, std::uint64_t wall_ns);
  // Goes on with what had to wait, ends the engine's turn, tells the transport what to send.
  void end_turn();

  // -- connections -----------------------------------------------------------------------------
  // local: who connects is on this machine.
  void on_connect(ConnectionId connection, PeerRights rights, bool local);
  void on_bytes(ConnectionId connection, std::span<const std::byte> bytes);
  // The other side, or the transport, closed it. Its session lives on until its lease ends. Unknown
  // ids are ignored.
  void on_disconnect(ConnectionId connection);
  // Swaps the connection's output into `out`, which is cleared first (give back a used one: its
  // memory is used again). Empty when there is none, and for unknown connections.
  void take_output(ConnectionId connection, OutputBuffer& out);
  std::size_t connections() const;
  std::size_t sessions() const;

  // -- the end ---------------------------------------------------------------------------------
  // Tells clients that the server goes away; no new session, no new request from now on; what is
  // under way goes on. Then come Engine::close(), which has the rest answered, and close_all();
  // nothing else.
  void drain();
  // Closes every connection. Sessions stay on record in the store, for the next server.
  void close_all();

  // -- EngineEvents ----------------------------------------------------------------------------
  void barrier_begin(ClientKey client, std::uint64_t barrier) override;
  void barrier_end(ClientKey client, std::uint64_t barrier) override;
  void evict(ClientKey client, const std::string& why) override;
  void copy(ClientKey client, const CopyOrder& order) override;
  void log(Level level, const std::string& text) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace csnap
