// SPDX-License-Identifier: Apache-2.0
// Requests and replies one at a time on a connection without a session: what administration needs;
// and how a connection begins that is for streams.
//
// Threading: one thread at a time; blocks.
// Errors: unavailable when there is no connection, it is lost, or time runs out: then the channel
// is closed, and whether the request was carried out is not known. Else what the server says.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/link.h"
#include "proto/address.h"
#include "proto/frame.h"

namespace csnap {

class CallChannel {
 public:
  // hello: says role and client_name; the version is filled in.
  CallChannel(std::vector<Address> addresses, wire::Hello hello);
  ~CallChannel();

  // At the first address that answers.
  Status connect(std::chrono::milliseconds patience);
  bool connected() const { return link_ != nullptr; }
  void close();
  // The reply is parsed into `reply`, whose type must be the one after the request's.
  Status call(wire::MessageType type, const google::protobuf::MessageLite& request,
              google::protobuf::MessageLite& reply, std::chrono::milliseconds patience);
  // The connection as it is behind Welcome. REQUIRES: connected, ROLE_STREAM, once.
  Link::Released take_connection();

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  Status connect_to(const Address& address, Deadline deadline);
  Status hello(Deadline deadline);
  Status run_until(const bool& condition, Deadline deadline);
  Status exchange(wire::MessageType type, const google::protobuf::MessageLite& request,
                  google::protobuf::MessageLite& reply, Deadline deadline);
  void on_frame(const Frame& frame);
  void flush();

  std::vector<Address> addresses_;
  wire::Hello hello_;
  boost::asio::io_context io_;
  std::shared_ptr<Link> link_;
  std::optional<Link::Released> released_;
  bool opened_ = false;
  OutputBuffer output_;
  std::uint64_t next_id_ = 1;
  // The call under way.
  std::uint64_t waiting_for_ = 0;
  std::uint16_t expected_type_ = 0;
  google::protobuf::MessageLite* reply_ = nullptr;
  bool answered_ = false;
  Status outcome_;
  Status lost_;
};

}  // namespace csnap
