// SPDX-License-Identifier: Apache-2.0
// The connection of an Admin. Only client/admin*.cc include this.
// Threading: any thread; calls go one after the other.
#pragma once

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "client/call_channel.h"
#include "client/csnap.h"
#include "client/names.h"

namespace csnap {

class Admin::Impl {
 public:
  Impl(std::vector<Address> addresses, const AdminOptions& options)
      : timeout_(options.timeout), channel_(std::move(addresses), hello_of(options)) {}

  Status connect() { return channel_.connect(std::min(kConnectPatience, timeout_)); }

  // A question: may be asked again when the connection turns out to be lost.
  Status look(wire::MessageType type, const google::protobuf::MessageLite& request,
              google::protobuf::MessageLite& reply) {
    std::lock_guard lock(mutex_);
    if (channel_.connected()) {
      Status status = channel_.call(type, request, reply, timeout_);
      if (status.ok() || channel_.connected()) return status;
    }
    CSNAP_TRY(connect());
    return channel_.call(type, request, reply, timeout_);
  }

  Status change(wire::MessageType type, const google::protobuf::MessageLite& request,
                google::protobuf::MessageLite& reply) {
    std::lock_guard lock(mutex_);
    // A connection that was lost while nothing was asked is found out with a question.
    wire::ListSnapshotsReply ignored;
    if (channel_.connected())
      static_cast<void>(
          channel_.call(wire::MESSAGE_LIST_SNAPSHOTS, wire::ListSnapshots(), ignored, timeout_));
    if (!channel_.connected()) CSNAP_TRY(connect());
    Status status = channel_.call(type, request, reply, timeout_);
    if (!status.ok() && !channel_.connected())
      return status.with_context("it is not known whether this was done");
    return status;
  }

 private:
  static wire::Hello hello_of(const AdminOptions& options) {
    wire::Hello hello;
    hello.set_role(options.observer ? wire::ROLE_OBSERVER : wire::ROLE_ADMIN);
    hello.set_client_name(options.client_name.empty() ? own_client_name() : options.client_name);
    return hello;
  }

  static constexpr std::chrono::milliseconds kConnectPatience{5000};

  std::mutex mutex_;
  const std::chrono::milliseconds timeout_;
  CallChannel channel_;
};

}  // namespace csnap
