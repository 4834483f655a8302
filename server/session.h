// SPDX-License-Identifier: Apache-2.0
// What the session layer knows of a connection and of a session. A session outlives its
// connections; a connection for administration has none.
// Threading: the service's thread. Ownership: the service's tables own both; they point at each
// other while a session has a connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "proto/csnap.pb.h"
#include "proto/frame.h"
#include "server/engine.h"
#include "server/service.h"
#include "server/session_grants.h"

namespace csnap {

// Requests that the engine has not answered yet.
struct Requests {
  struct Running {
    std::uint16_t type = 0;
    std::uint32_t crc = 0;     // of the body
    std::uint64_t chunks = 0;  // in its ranges
    bool attached = true;      // false: the connection it came on is gone, nobody waits
  };
  std::unordered_map<std::uint64_t, Running> running;  // by request id
  std::uint64_t chunks = 0;                            // of all of them
};

struct Session;

struct Channel {
  enum class State : std::uint8_t { fresh, opening, open, closed };

  ConnectionId id = 0;
  PeerRights rights;
  bool local = false;  // on this machine
  State state = State::fresh;
  wire::Role role = wire::ROLE_NONE;
  Session* session = nullptr;
  std::string client_name;
  std::uint64_t hello_id = 0;  // request id of its Hello
  std::uint32_t version = 0;   // of the protocol, spoken here
  std::uint64_t accepted_ms = 0;
  std::uint64_t heard_ms = 0;
  bool probed = false;  // a Heartbeat was sent since it was last heard of
  FrameReader reader;
  OutputBuffer out;
  bool dirty = false;    // out has grown this turn
  bool paused = false;   // the transport was told to read no more
  bool revisit = false;  // is to be gone on with at the turn's end
  Requests requests;     // of a connection without a session
};

struct Session {
  Uuid id;
  ClientKey key = 0;  // 0 while opening
  SnapshotId volume;
  wire::VolumeInfo info;
  std::string client_name;
  bool read_only = false;
  Channel* channel = nullptr;  // null: it has no connection now
  std::uint64_t heard_ms = 0;
  bool opening = true;
  bool uploading = false;                // back after a restart, and not done telling what it holds
  std::optional<std::uint64_t> barrier;  // begun, and its BarrierDone has not come
  std::optional<std::string> evicted;    // why it is to go; its EvictDone has not come
  Requests requests;
  std::unordered_set<ReadId> reads;  // granted and not finished
  SessionGrants grants;
};

}  // namespace csnap
