// SPDX-License-Identifier: Apache-2.0
// One client of torture_volumes: batches of random requests, several in flight, over the origin and
// all snapshots, each answer compared with the model.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test/torture/nbd_client.h"
#include "test/torture/world.h"

namespace csnap::torture {

class ClientThread {
 public:
  ClientThread(World& world, std::size_t number, std::string socket, std::uint64_t seed)
      : world_(world), number_(number), socket_(std::move(socket)), random_(seed) {}

  // Until world.stop.
  void run();

 private:
  struct Request {
    Kind kind = Kind::read;
    std::shared_ptr<Volume> volume;
    std::uint64_t offset = 0, length = 0;
    std::uint32_t sequence = 0;
    std::vector<std::byte> data;
    std::int64_t cookie = -1;
    std::uint64_t began_us = 0;
  };
  struct Open {
    std::shared_ptr<Volume> volume;
    std::unique_ptr<NbdClient> client;
    std::uint64_t since_us = 0;  // connected
    std::size_t waiting = 0;     // requests in flight
  };

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  Request make_request(const std::vector<std::shared_ptr<Volume>>& volumes);
  std::vector<Request> make_batch();
  void forget_closed();
  // Nothing when the volume is going away.
  NbdClient* client_of(Request& request);
  void send(Request& request);
  void finish(Request& request);
  void take_answer(Request& request);
  void take_failure(Request& request, int error);

  World& world_;
  const std::size_t number_;
  const std::size_t nbd_ = number_ / (kThreads / 2);
  const std::string socket_;
  std::mt19937_64 random_;
  std::map<std::uint64_t, Open> open_;  // by the volume's number
  bool excused_ = false;                // a request failed, as it may
};

}  // namespace csnap::torture
