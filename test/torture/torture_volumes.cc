// SPDX-License-Identifier: Apache-2.0
// Eight clients at the origin and up to sixteen snapshots over NBD, while an administrator makes,
// renames and deletes snapshots, and csnapd is killed and started again. Every byte that is read
// must be what a model in memory says, and so must every volume at the end.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <atomic>

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include "test/torture/administrator.h"
#include "test/torture/arguments.h"
#include "test/torture/client_thread.h"

namespace csnap::torture {

namespace {

// Ends csnapd, mostly in the hard way, and starts it again.
class Killer {
 public:
  Killer(World& world, std::uint64_t seed) : world_(world), random_(seed) {}

  void run() {
    while (!world_.stop) {
      for (std::uint64_t wait = 1000 + random_() % 2500; wait > 0 && !world_.stop; wait -= 1)
        pause_ms(1);
      if (world_.rig().server().ended()) {
        world_.fail("csnapd ended by itself:\n" + world_.rig().log_tail("csnapd.log"));
        return;
      }
      if (random_() % 4 != 0) {
        world_.rig().stop_server(SIGKILL);
        ++kills;
      } else {
        stop_gently();
      }
      world_.record_text("the server is down");
      pause_ms(random_() % 8 == 0 ? 3000 : random_() % 300);
      world_.record_text("the server starts");
      world_.rig().start_server();
    }
  }

  void stop_gently() {
    const std::uint64_t began = world_.now_us();
    const int status = world_.rig().stop_server(SIGTERM);
    const std::uint64_t took_ms = (world_.now_us() - began) / 1000;
    longest_stop_ms = std::max(longest_stop_ms, took_ms);
    ++stops;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
      world_.fail("csnapd did not end well after SIGTERM:\n" + world_.rig().log_tail("csnapd.log"));
    if (took_ms > 5000) world_.fail("SIGTERM took " + std::to_string(took_ms) + " ms");
  }

  std::atomic<std::uint64_t> kills{0};
  std::uint64_t stops = 0, longest_stop_ms = 0;

 private:
  World& world_;
  std::mt19937_64 random_;
};

void verify_origin_device(World& world) {
  const std::string copy = world.rig().path("copy");
  world.rig().read_origin(copy);
  std::ifstream file(copy, std::ios::binary);
  std::vector<char> data((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  world.same(*world.origin(), 0, std::as_bytes(std::span(data)), "the origin's device");
}

RigOptions rig_options(const Arguments& arguments, std::mt19937_64& random) {
  static const char* const kChunks[] = {"4K", "4K", "4K", "16K", "64K"};
  static const char* const kCaches[] = {"2M", "64M"};
  static const char* const kLeases[] = {"2000", "10000"};
  RigOptions options;
  options.programs = arguments.programs;
  options.trees = arguments.has("--trees");
  options.origin_size = 32 << 20;
  options.store_size = 2u << 30;
  const char* chunk = kChunks[random() % std::size(kChunks)];
  const char* cache = kCaches[random() % std::size(kCaches)];
  const char* lease = kLeases[random() % std::size(kLeases)];
  options.mkstore = {"--chunk-size", chunk};
  options.server = {"--cache", cache, "--lease", lease, "--log-level", "debug"};
  if (random() % 2 == 0) options.mkstore.insert(options.mkstore.end(), {"--journal-size", "2M"});
  options.nbd_threads = 4;
  printf("chunks of %s, a cache of %s, leases of %s ms%s\n", chunk, cache, lease,
         options.mkstore.size() > 2 ? ", a short journal" : "");
  return options;
}

void finish(World& world, Killer& killer) {
  Rig& rig = world.rig();
  if (!verify_all(world, 0, "at the end")) return;
  rig.stop_nbds();
  rig.stop_server(SIGKILL);
  rig.start_server();
  rig.wait_for_server();
  verify_all(world, rig.start_nbd(), "after a restart of everything");
  rig.stop_nbds();
  killer.stop_gently();
  verify_origin_device(world);
}

int torture(const Arguments& arguments) {
  std::mt19937_64 random(arguments.seed);
  Rig rig(rig_options(arguments, random));
  rig.start_server();
  rig.wait_for_server();
  const std::string sockets[] = {rig.nbd_socket(rig.start_nbd()), rig.nbd_socket(rig.start_nbd())};
  World world(rig, 32 << 20);
  Administrator administrator(world, random());
  Killer killer(world, random());
  std::vector<std::unique_ptr<ClientThread>> clients;
  for (std::size_t i = 0; i < kThreads; ++i)
    clients.push_back(
        std::make_unique<ClientThread>(world, i, sockets[i / (kThreads / 2)], random()));
  std::vector<std::thread> threads;
  for (auto& client : clients) threads.emplace_back([&client] { client->run(); });
  threads.emplace_back([&administrator] { administrator.run(); });
  if (!arguments.has("--no-kill")) threads.emplace_back([&killer] { killer.run(); });
  for (std::uint64_t second = 1; second <= arguments.seconds && !world.stop; ++second) {
    pause_ms(1000);
    for (std::size_t nbd = 0; nbd < 2; ++nbd)
      if (!rig.nbd_alive(nbd)) world.fail("csnap-nbd ended by itself");
    if (second % 10 == 0)
      printf("%" PRIu64 " s: %" PRIu64 " requests, %zu snapshots, %" PRIu64 " kills\n", second,
             world.operations.load(), world.snapshots().size(), killer.kills.load());
    fflush(stdout);
  }
  world.stop = true;
  for (auto& thread : threads) thread.join();
  if (!world.failed()) finish(world, killer);
  printf("%" PRIu64 " requests, %" PRIu64 " MiB, %" PRIu64 " connections, %" PRIu64
         " snapshots made, %" PRIu64 " deleted, %" PRIu64 " renamed, %" PRIu64 " kills, %" PRIu64
         " orderly stops (the longest took %" PRIu64 " ms)\n",
         world.operations.load(), world.bytes.load() >> 20, world.connections.load(),
         administrator.created, administrator.deleted, administrator.renamed, killer.kills.load(),
         killer.stops, killer.longest_stop_ms);
  return world.failed() ? 1 : 0;
}

}  // namespace

}  // namespace csnap::torture

int main(int argc, char** argv) {
  const auto arguments = csnap::torture::parse_arguments(argc, argv, 60, {"--no-kill", "--trees"});
  return csnap::torture::torture(arguments);
}
