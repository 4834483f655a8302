// SPDX-License-Identifier: Apache-2.0
#include "client/link.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace csnap {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr auto kLinkPatience = std::chrono::seconds(3);

Status cannot_connect(const Address& address, const std::string& cause) {
  return Status(Code::unavailable, "cannot connect to " + address.to_string() + ": " + cause);
}

}  // namespace

Link::Link(asio::io_context& io, Events events)
    : events_(std::move(events)), socket_(io), resolver_(io), patience_(io) {}

void Link::open(const Address& address) {
  address_ = address;
  patience_.expires_after(kLinkPatience);
  patience_.async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->fail(cannot_connect(self->address_, "no answer"));
  });
  if (address.kind == Address::Kind::unix_socket) {
    if (address.path.size() >= 108) {
      // Not from inside open(): the owner does not expect to hear of it yet.
      asio::post(socket_.get_executor(), [self = shared_from_this()] {
        self->fail(cannot_connect(self->address_, "the path is too long"));
      });
      return;
    }
    connect({Endpoint(asio::local::stream_protocol::endpoint(address.path))}, 0, {});
    return;
  }
  resolver_.async_resolve(address.host, std::to_string(address.port),
                          [self = shared_from_this()](error_code error, const auto& results) {
                            if (error)
                              return self->fail(cannot_connect(self->address_, error.message()));
                            std::vector<Endpoint> endpoints;
                            for (const auto& result : results)
                              endpoints.emplace_back(result.endpoint());
                            self->connect(std::move(endpoints), 0, {});
                          });
}

void Link::connect(std::vector<Endpoint> endpoints, std::size_t next, Status last) {
  if (closed_) return;
  if (next == endpoints.size()) return fail(last);
  error_code ignored;
  socket_.close(ignored);
  const Endpoint endpoint = endpoints[next];
  socket_.async_connect(endpoint, [self = shared_from_this(), endpoints = std::move(endpoints),
                                   next](error_code error) mutable {
    if (self->closed_) return;
    if (error)
      return self->connect(std::move(endpoints), next + 1,
                           cannot_connect(self->address_, error.message()));
    self->patience_.cancel();
    if (self->address_.kind == Address::Kind::tcp) {
      error_code best_effort;
      self->socket_.set_option(asio::ip::tcp::no_delay(true), best_effort);
    }
    self->events_.opened();
    self->read();
  });
}

void Link::read() {
  if (closed_) return;
  const auto room = reader_.prepare();
  socket_.async_read_some(
      asio::buffer(room.data(), room.size()),
      [self = shared_from_this()](error_code error, std::size_t bytes) {
        if (self->closed_) return;
        if (error)
          return self->fail(Status(
              Code::unavailable,
              "lost the connection to " + self->address_.to_string() + ": " + error.message()));
        self->reader_.commit(bytes);
        self->take_frames();
        self->read();
      });
}

void Link::take_frames() {
  while (!closed_) {
    auto frame = reader_.next();
    if (!frame.ok()) return fail(frame.status().with_context(address_.to_string()));
    if (!frame->has_value()) return;
    events_.received(**frame);
  }
}

void Link::send(OutputBuffer bytes) {
  output_ = std::move(bytes);
  sending_ = true;
  asio::async_write(socket_, asio::buffer(output_),
                    [self = shared_from_this()](error_code error, std::size_t) {
                      self->sending_ = false;
                      if (self->closed_) return;
                      // The reading side hears of a lost connection, after what came before it.
                      if (!error) self->events_.sent();
                    });
}

void Link::close() {
  if (closed_) return;
  closed_ = true;
  patience_.cancel();
  resolver_.cancel();
  error_code ignored;
  socket_.close(ignored);
}

Link::Released Link::release() {
  closed_ = true;
  patience_.cancel();
  const auto rest = reader_.rest();
  return {socket_.release(), address_,
          std::string(reinterpret_cast<const char*>(rest.data()), rest.size())};
}

void Link::fail(const Status& why) {
  if (closed_) return;
  close();
  events_.closed(why);
}

}  // namespace csnap
