// SPDX-License-Identifier: Apache-2.0
// One connection to a server, from the attempt to connect to the end: bytes out, frames in.
//
// Threading: all on the thread of the io_context. A Link lives in a shared_ptr; after close() its
// owner hears nothing more from it.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proto/address.h"
#include "proto/frame.h"
#include "store/status.h"

namespace csnap {

class Link : public std::enable_shared_from_this<Link> {
 public:
  struct Events {
    std::function<void()> opened;
    std::function<void(const Frame&)> received;
    std::function<void()> sent;          // everything given to send() is with the kernel
    std::function<void(Status)> closed;  // not after close()
  };
  struct Released {
    int socket = -1;   // non-blocking
    Address address;   // of the server
    std::string rest;  // came behind the last frame
  };

  Link(boost::asio::io_context& io, Events events);

  void open(const Address& address);
  // REQUIRES: opened, and not sending.
  void send(OutputBuffer bytes);
  bool sending() const { return sending_; }
  void close();
  // Gives the socket away, and hears nothing more of it. From within received() it is certain that
  // what follows the frame is in `rest` or still to be read.
  Released release();

 private:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using Endpoint = boost::asio::generic::stream_protocol::endpoint;

  void connect(std::vector<Endpoint> endpoints, std::size_t next, Status last);
  void read();
  void take_frames();
  void fail(const Status& why);

  Events events_;
  Socket socket_;
  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::steady_timer patience_;  // of connecting
  Address address_;
  FrameReader reader_;
  OutputBuffer output_;
  bool sending_ = false;
  bool closed_ = false;
};

}  // namespace csnap
