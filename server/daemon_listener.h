// SPDX-License-Identifier: Apache-2.0
// A place where the daemon takes connections: a Unix socket, or a TCP port on every address that
// a host name stands for.
//
// Threading: one thread, the one that runs the io_context. Ownership: the listener owns its sockets
// and, for a Unix socket, its name in the file system, which goes when the listener goes.
// Errors: from open(), with the address and what to do; later ones are logged, and tried again.
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/address.h"
#include "store/status.h"

namespace csnap {

using StreamSocket = boost::asio::generic::stream_protocol::socket;

struct Peer {
  std::string name;    // for the log: "unix:/run/csnap/csnapd.sock" or "192.0.2.7:40912"
  bool local = false;  // on this machine: through a Unix socket or a loopback address
  std::string host;    // its IP address; empty: none, it is a Unix socket
};

class Listener {
 public:
  using Accepted = std::function<void(StreamSocket socket, Peer peer)>;

  // A Unix socket that a dead server left behind is replaced; busy when somebody listens on it. Its
  // mode is 0660; a missing last directory of its path is made.
  static Result<std::unique_ptr<Listener>> open(boost::asio::io_context& io, const Address& address,
                                                Accepted accepted);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // With the port that was chosen when 0 was asked for.
  const Address& address() const { return address_; }
  // Takes no more connections; those taken live on.
  void close();

 private:
  using Protocol = boost::asio::generic::stream_protocol;
  using Acceptor = boost::asio::basic_socket_acceptor<Protocol>;
  // One socket of the listener, and the pause it makes when the machine cannot take more.
  struct Entry {
    explicit Entry(boost::asio::io_context& io) : acceptor(io), pause(io) {}
    Acceptor acceptor;
    boost::asio::steady_timer pause;
  };

  Listener(boost::asio::io_context& io, Address address, Accepted accepted);
  Status open_unix();
  Status bind_unix();
  Status open_tcp();
  void accept(Entry& entry);
  void accepted(StreamSocket socket);

  boost::asio::io_context& io_;
  Address address_;
  Accepted accepted_;
  std::vector<std::unique_ptr<Entry>> entries_;
  bool owns_path_ = false;  // the socket file is the one that was bound here:
  std::uint64_t path_device_ = 0, path_inode_ = 0;
};

}  // namespace csnap
