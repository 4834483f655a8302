// SPDX-License-Identifier: Apache-2.0
#include "test/sim/network.h"

#include <algorithm>
#include <utility>

namespace csnap::sim {

void Network::set_server(Endpoint* server) {
  server_ = server;
}

Micros Network::delay() {
  Micros time = random_.between(30, 400);
  if (random_.chance(0.02)) time += random_.below(20 * kMilli);
  if (!context_.calm && random_.chance(context_.profile.late_bytes)) {
    time += random_.below(3 * context_.profile.lease_ms) * kMilli;
    context_.coverage.struck(Fault::late_bytes);
  }
  return time;
}

LinkId Network::connect(Endpoint* client) {
  const LinkId id = next_++;
  Link& link = links_[id];
  link.client = client;
  context_.scheduler.in(delay(), [this, id] {
    const auto found = links_.find(id);
    if (found == links_.end() || found->second.client == nullptr) return;
    Link& l = found->second;
    if (server_ == nullptr) {
      Endpoint* refused = l.client;
      links_.erase(found);
      return refused->link_closed(id);
    }
    l.server = server_;
    Endpoint* opened = l.client;
    l.server->link_opened(id);
    opened->link_opened(id);
  });
  return id;
}

void Network::say(LinkId id, bool to_server, const std::vector<std::byte>& bytes) const {
  FrameReader reader;
  reader.feed(bytes);
  for (auto frame = reader.next(); frame.ok() && *frame; frame = reader.next())
    trace("link " + std::to_string(id) + (to_server ? " -> server: " : " <- server: ") +
          message_name((*frame)->header.type) + " " + std::to_string((*frame)->header.request_id));
}

void Network::send(LinkId id, bool to_server, std::vector<std::byte> bytes) {
  const auto found = links_.find(id);
  if (found == links_.end() || bytes.empty()) return;
  if (trace) say(id, to_server, bytes);
  Link& link = found->second;
  if (!context_.calm) {
    if (random_.chance(context_.profile.connection_lost)) {
      context_.coverage.struck(Fault::connection_lost);
      if (trace) trace("link " + std::to_string(id) + " is lost");
      // Some of it may still arrive.
      if (random_.below(2) == 0)
        bytes.clear();
      else
        bytes.resize(random_.below(bytes.size()));
      lose(id);
      return;
    }
    if (random_.chance(context_.profile.half_open)) {
      context_.coverage.struck(Fault::half_open);
      if (trace) trace("link " + std::to_string(id) + " is half open now");
      (random_.below(2) == 0 ? link.to_server : link.to_client).cut = true;
    }
  }
  Direction& way = to_server ? link.to_server : link.to_client;
  if (way.cut || way.closed) return;
  // In one piece mostly.
  std::size_t from = 0;
  while (from < bytes.size()) {
    const std::size_t left = bytes.size() - from;
    const std::size_t size = random_.below(4) != 0 ? left : 1 + random_.below(left);
    std::vector<std::byte> part(bytes.begin() + static_cast<long>(from),
                                bytes.begin() + static_cast<long>(from + size));
    from += size;
    way.last_arrival = std::max(way.last_arrival, context_.scheduler.now() + delay());
    context_.scheduler.at(way.last_arrival,
                          [this, id, to_server, losses = link.losses, part = std::move(part)] {
                            deliver(id, to_server, part, losses);
                          });
  }
}

void Network::deliver(LinkId id, bool to_server, std::vector<std::byte> bytes,
                      std::uint64_t losses) {
  const auto found = links_.find(id);
  if (found == links_.end() || found->second.losses != losses) return;
  Endpoint* end = to_server ? found->second.server : found->second.client;
  if (end != nullptr) end->link_bytes(id, std::move(bytes));
}

void Network::arrive_close(LinkId id, bool at_server, std::uint64_t losses) {
  const auto found = links_.find(id);
  if (found == links_.end() || found->second.losses != losses) return;
  Endpoint*& end = at_server ? found->second.server : found->second.client;
  Endpoint* told = std::exchange(end, nullptr);
  (at_server ? found->second.to_client : found->second.to_server).closed = true;
  erase_if_done(id);
  if (told != nullptr) told->link_closed(id);
}

void Network::close(LinkId id, bool by_server) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  Link& link = found->second;
  (by_server ? link.server : link.client) = nullptr;
  Direction& way = by_server ? link.to_client : link.to_server;
  if (!way.cut && !way.closed) {
    way.last_arrival = std::max(way.last_arrival, context_.scheduler.now() + delay());
    context_.scheduler.at(way.last_arrival, [this, id, by_server, losses = link.losses] {
      arrive_close(id, !by_server, losses);
    });
  }
  way.closed = true;
  erase_if_done(id);
}

void Network::lose(LinkId id) {
  Link& link = links_.at(id);
  const std::uint64_t losses = ++link.losses;
  link.to_server.cut = link.to_client.cut = true;
  for (const bool at_server : {false, true})
    context_.scheduler.in(random_.below(50 * kMilli),
                          [this, id, at_server, losses] { arrive_close(id, at_server, losses); });
}

void Network::forget(Endpoint* end, bool silent) {
  std::vector<std::pair<LinkId, bool>> gone;
  for (const auto& [id, link] : links_) {
    if (link.server == end) gone.emplace_back(id, true);
    if (link.client == end) gone.emplace_back(id, false);
  }
  for (const auto& [id, by_server] : gone) {
    Link& link = links_.at(id);
    if (silent) (by_server ? link.to_client : link.to_server).cut = true;
    close(id, by_server);
  }
  if (server_ == end) server_ = nullptr;
}

void Network::erase_if_done(LinkId id) {
  const auto found = links_.find(id);
  if (found != links_.end() && !found->second.client && !found->second.server) links_.erase(found);
}

}  // namespace csnap::sim
