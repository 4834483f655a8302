// SPDX-License-Identifier: Apache-2.0
// Those who take the send streams that come over connections: children of the daemon, one for each,
// with the connection as standard input and output. The daemon itself reads nothing of a stream.
//
// Threading: one thread, the one that runs the io_context. Ownership: whoever outlives the daemon
// is its own master. Errors: a child that cannot be started, or ends badly, is told of in the log;
// its client sees the connection end.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "proto/address.h"
#include "server/service.h"
#include "store/status.h"

namespace csnap {

class Receivers {
 public:
  static constexpr std::size_t kMost = 8;  // at once; a store takes one stream at a time

  // program: csnap-admin's path; empty: there is none, and no stream is taken.
  Receivers(boost::asio::io_context& io, std::string program);

  // Where this very server listens. REQUIRES: at least one.
  void set_addresses(const std::vector<Address>& addresses);
  // Whether another one may be started beside `coming`. busy, unsupported, unavailable.
  Status room(std::size_t coming) const;
  // Takes the socket. peer: for the log.
  void start(int socket, const StreamRequest& request, const std::string& peer);
  // Asks all of them to end; no other one is started.
  void stop();
  std::size_t running() const { return running_.size(); }

 private:
  Result<pid_t> spawn(int socket, const StreamRequest& request) const;
  void wait();
  void reap();

  const std::string program_;
  Address server_;
  bool stopping_ = false;
  boost::asio::signal_set ended_;
  std::map<pid_t, std::string> running_;  // and whose stream it takes
};

// The address at which clients on this machine reach a server that listens on these: a Unix socket
// if there is one; loopback where it listens on every address.
Address local_address(const std::vector<Address>& listening);

}  // namespace csnap
