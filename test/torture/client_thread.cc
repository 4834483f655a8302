// SPDX-License-Identifier: Apache-2.0
#include "test/torture/client_thread.h"

#include <errno.h>
#include <string.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

namespace csnap::torture {

namespace {

constexpr std::uint64_t kSector = 512;
constexpr std::uint64_t kLongest = 256 << 10;
constexpr std::uint64_t kMostInFlight = 8;

bool overlap(std::uint64_t a, std::uint64_t a_length, std::uint64_t b, std::uint64_t b_length) {
  return a < b + b_length && b < a + a_length;
}

}  // namespace

ClientThread::Request ClientThread::make_request(
    const std::vector<std::shared_ptr<Volume>>& volumes) {
  Request request;
  const std::uint64_t dice = below(100);
  request.kind = dice < 44   ? Kind::read
                 : dice < 88 ? Kind::write
                 : dice < 92 ? Kind::zero
                 : dice < 96 ? Kind::trim
                             : Kind::flush;
  request.volume =
      volumes.empty() || below(100) < 40 ? world_.origin() : volumes[below(volumes.size())];
  if (request.kind == Kind::flush) return request;
  const auto& stripes = world_.stripes(number_);
  // Some places are used more than others, so that requests meet what others left.
  const std::uint64_t hot = std::max<std::uint64_t>(1, stripes.size() / 8);
  const Stripe& stripe = stripes[below(2) == 0 ? below(hot) : below(stripes.size())];
  const std::uint64_t unit = below(100) < 15 ? 1 : below(100) < 25 ? 4096 : kSector;
  const std::uint64_t begin = (stripe.begin + unit - 1) / unit, end = stripe.end / unit;
  if (end <= begin) return request;
  const std::uint64_t most = std::min(end - begin, kLongest / unit);
  std::uint64_t count = 1 + below(std::uint64_t{1} << below(20));
  if (unit == 1) count += kSector;
  count = std::min(count, most);
  request.length = count * unit;
  request.offset = (begin + below(end - begin - count + 1)) * unit;
  return request;
}

std::vector<ClientThread::Request> ClientThread::make_batch() {
  std::vector<std::shared_ptr<Volume>> volumes;
  for (auto& volume : world_.snapshots())
    if (!volume->doomed) volumes.push_back(volume);
  std::vector<Request> batch;
  for (std::uint64_t count = 1 + below(kMostInFlight); count > 0; --count) {
    Request request = make_request(volumes);
    if (request.length == 0 && request.kind != Kind::flush) continue;
    const bool in_the_way = std::any_of(batch.begin(), batch.end(), [&](const Request& other) {
      return other.volume == request.volume &&
             (request.kind != Kind::read || other.kind != Kind::read) &&
             overlap(request.offset, request.length, other.offset, other.length);
    });
    if (!in_the_way) batch.push_back(std::move(request));
  }
  return batch;
}

void ClientThread::forget_closed() {
  std::erase_if(open_, [](const auto& entry) { return entry.second.volume->gone.load(); });
}

NbdClient* ClientThread::client_of(Request& request) {
  Volume& volume = *request.volume;
  if (volume.gone) return nullptr;
  auto& open = open_[volume.number];
  if (open.client != nullptr && open.client->alive()) return open.client.get();
  if (open.client != nullptr && open.waiting > 0) return nullptr;  // its answers first
  open.volume = request.volume;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  std::string error;
  do {
    open.since_us = world_.now_us();
    {
      const std::lock_guard lock(volume.name_mutex);
      open.client = NbdClient::connect(socket_, volume.name(), error);
    }
    if (open.client != nullptr) {
      ++world_.connections;
      if (open.client->size() != volume.model.size()) world_.fail("a volume has the wrong size");
      return open.client.get();
    }
    if (volume.doomed) return nullptr;
    pause_ms(20);
  } while (std::chrono::steady_clock::now() < deadline);
  world_.fail("cannot open " + volume.name() + " in a minute: " + error);
  return nullptr;
}

void ClientThread::send(Request& request) {
  NbdClient* client = client_of(request);
  if (client == nullptr) return;
  request.sequence = world_.next_sequence();
  request.began_us = world_.now_us();
  switch (request.kind) {
    case Kind::read:
      request.data.resize(request.length);
      request.cookie = client->read(request.offset, request.data);
      break;
    case Kind::write:
      request.data.resize(request.length);
      fill(request.data, request.offset, request.sequence, request.volume->number);
      request.cookie = client->write(request.offset, request.data, below(20) == 0);
      break;
    case Kind::zero:
      request.cookie = client->zero(request.offset, request.length);
      break;
    case Kind::trim:
      request.cookie = client->trim(request.offset, request.length);
      break;
    default:
      request.cookie = client->flush();
  }
  ++open_[request.volume->number].waiting;
}

void ClientThread::finish(Request& request) {
  if (request.began_us == 0) return;  // never sent
  Open& open = open_[request.volume->number];
  const int error = open.client->wait(request.cookie);
  --open.waiting;
  Event event;
  event.kind = request.kind;
  event.sequence = request.sequence;
  event.volume = request.volume->number;
  event.offset = request.offset;
  event.length = request.length;
  event.began_us = request.began_us;
  event.ended_us = world_.now_us();
  if (error != 0) event.text = std::string(" (") + strerror(error) + ")";
  world_.record(number_, event);
  if (error == 0)
    take_answer(request);
  else if (!request.volume->doomed)
    take_failure(request, error);
}

void ClientThread::take_failure(Request& request, int error) {
  const Open& open = open_[request.volume->number];
  // A connection may turn out to have been lost long since.
  const bool lost = !open.client->alive();
  const bool honest = lost || error == EIO || error == ENOSPC;
  if (!honest || !world_.excused(lost ? open.since_us : request.began_us, nbd_)) {
    world_.fail("a request of kind " + std::to_string(static_cast<int>(request.kind)) + " at " +
                std::to_string(request.offset) + " of volume " +
                std::to_string(request.volume->number) + " ended with: " + strerror(error));
    return;
  }
  ++world_.excuses;
  excused_ = true;
  if (request.kind == Kind::read || request.kind == Kind::flush) return;
  request.volume->doubts.add({request.offset, request.offset + request.length,
                              request.kind != Kind::write, request.sequence,
                              request.volume->number});
}

void ClientThread::take_answer(Request& request) {
  ++world_.operations;
  world_.bytes += request.length;
  auto* place = request.volume->model.data() + request.offset;
  if (request.kind == Kind::read) {
    world_.same(*request.volume, request.offset, request.data, "read");
  } else if (request.kind == Kind::write) {
    memcpy(place, request.data.data(), request.data.size());
  } else if (request.kind != Kind::flush) {
    memset(place, 0, request.length);
  }
  if (request.kind != Kind::read)
    request.volume->doubts.clear(request.offset, request.offset + request.length);
}

void ClientThread::run() {
  while (!world_.stop) {
    forget_closed();
    auto batch = make_batch();
    std::set<Volume*> inside;
    for (Request& request : batch)
      if (inside.insert(request.volume.get()).second) request.volume->gate.enter();
    for (Request& request : batch) send(request);
    for (Request& request : batch) finish(request);
    for (Volume* volume : inside) volume->gate.leave();
    if (std::exchange(excused_, false)) pause_ms(20);  // as one who finds out what is the matter
  }
  open_.clear();
}

}  // namespace csnap::torture
