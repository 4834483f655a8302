// SPDX-License-Identifier: Apache-2.0
// Send streams to a server, which has them applied to its origin: what is written here is read by
// the receiver over there, byte for byte, and what that has to say at its end is read here.
//
// Threading: one thread at a time; calls block. Ownership: it owns the connection; destroying it
// cuts the stream off, which the receiver goes on with later.
// Errors: open(): what the server says; unavailable when it cannot be reached. A peer that vanishes
// without a word is unavailable after about half a minute.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "store/status.h"
#include "store/uuid.h"

namespace csnap {

struct StreamOptions {
  // `unix:PATH` or `HOST:PORT`, tried in order; empty: the default addresses of this machine.
  std::vector<std::string> addresses;
  std::string client_name;    // in the server's logs; empty: the program and its pid
  std::optional<Uuid> store;  // not_found if the server's is another one
  bool force = false;         // overwrite what the origin there holds and no snapshot does
  bool replica = false;       // a server whose role is none becomes a replica
};

class StreamConnection {
 public:
  // busy: as many streams as can be are coming there already.
  static Result<std::unique_ptr<StreamConnection>> open(const StreamOptions& options);
  ~StreamConnection();
  StreamConnection(const StreamConnection&) = delete;
  StreamConnection& operator=(const StreamConnection&) = delete;

  // cancelled: the receiver has ended, or says something already; read_reply() knows what.
  Status write(std::span<const std::byte> bytes);
  // There are no more bytes.
  Status finish_sending();
  // What the receiver says, all of it: a JSON document, that of `csnap-admin --json receive`.
  // patience: for the next byte of it; 0: as long as the receiver is there, as bringing an origin
  // back and making a snapshot may take long. unavailable: it ended without a word.
  Result<std::string> read_reply(std::chrono::milliseconds patience = {});

 private:
  StreamConnection(int socket, std::string server, std::string reply)
      : socket_(socket), server_(std::move(server)), reply_(std::move(reply)) {}
  Status lost(const std::string& why) const;
  // Waits until one of the events, of poll(2), is there: those that are.
  Result<short> wait_for(short events, std::chrono::milliseconds patience) const;

  const int socket_;
  const std::string server_;  // its address
  std::string reply_;         // as far as it has come
};

}  // namespace csnap
