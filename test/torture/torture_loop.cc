// SPDX-License-Identifier: Apache-2.0
// torture_volumes with everything that can be done to a machine from outside: csnapd and csnap-nbd
// are killed, disks are pulled and put back. A request that was hit may fail, and then its sectors
// are old or new; nothing else may ever differ from the model.
#include <signal.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <random>
#include <thread>

#include "test/torture/arguments.h"
#include "test/torture/client_thread.h"
#include "test/torture/troublemaker.h"

namespace csnap::torture {

namespace {

constexpr std::uint64_t kOriginSize = 32 << 20, kStoreSize = 640 << 20, kMetadataSize = 64 << 20;
constexpr std::size_t kNbds = 2;
// Numbers of loop devices that nobody else takes by chance: of this process, two for each disk.
constexpr unsigned kFirstLoop = 1000, kLoopsOfProcess = 8, kProcesses = 10'000;

template <std::size_t N>
const char* any_of(const char* const (&words)[N], std::mt19937_64& random) {
  return words[random() % N];
}

RigOptions rig_options(const Arguments& arguments, std::mt19937_64& random) {
  RigOptions options;
  options.programs = arguments.programs;
  options.origin_size = kOriginSize;
  options.store_size = kStoreSize;
  const char* chunk = any_of({"4K", "4K", "4K", "16K", "64K"}, random);
  const char* cache = any_of({"2M", "64M"}, random);
  const char* lease = any_of({"2000", "2000", "4000"}, random);
  const bool short_journal = random() % 2 == 0;
  options.mkstore = {"--chunk-size", chunk};
  options.server = {"--cache", cache, "--lease", lease};
  if (short_journal) options.mkstore.insert(options.mkstore.end(), {"--journal-size", "2M"});
  options.nbd_threads = 4;
  printf("chunks of %s, a cache of %s, leases of %s ms%s\n", chunk, cache, lease,
         short_journal ? ", a short journal" : "");
  return options;
}

Troublemaker::Disks make_disks(const std::string& folder, RigOptions& options,
                               std::mt19937_64& random) {
  Troublemaker::Disks disks;
  unsigned loop = kFirstLoop + static_cast<unsigned>(getpid()) % kProcesses * kLoopsOfProcess;
  const auto make = [&](const char* name, std::uint64_t size) {
    const PulledDisk::Kind kind{random() % 2 == 0, random() % 3 == 0};
    disks.push_back(std::make_unique<PulledDisk>(folder, name, size, kind, loop));
    loop += 2;
    printf("%s: a %s%s\n", name, kind.thin ? "thin " : "", kind.block ? "block device" : "file");
    return disks.back()->path();
  };
  options.origin_path = make("origin", kOriginSize);
  options.store_path = make("store", kStoreSize);
  if (random() % 3 == 0) options.metadata_path = make("metadata", kMetadataSize);
  return disks;
}

class Loop {
 public:
  Loop(Rig& rig, Troublemaker::Disks& disks, std::mt19937_64& random)
      : rig_(rig),
        world_(rig, kOriginSize),
        administrator_(world_, random()),
        troublemaker_(world_, administrator_, disks, random()) {
    for (std::size_t i = 0; i < kThreads; ++i)
      clients_.push_back(std::make_unique<ClientThread>(
          world_, i, rig.nbd_socket(i / (kThreads / kNbds)), random()));
  }

  bool run(std::uint64_t seconds) {
    std::vector<std::thread> threads;
    for (auto& client : clients_) threads.emplace_back([&client] { client->run(); });
    threads.emplace_back([this] { administrator_.run(); });
    threads.emplace_back([this] { troublemaker_.run(); });
    for (std::uint64_t second = 1; second <= seconds && !world_.stop; ++second) {
      pause_ms(1000);
      if (second % 60 == 0) tell(second);
    }
    world_.stop = true;
    for (auto& thread : threads) thread.join();
    if (!world_.failed()) finish();
    tell(world_.now_us() / 1'000'000);
    return !world_.failed();
  }

 private:
  void tell(std::uint64_t second) {
    printf("%" PRIu64 " s: %" PRIu64 " requests, %" PRIu64 " MiB, %" PRIu64
           " hit by trouble; snapshots: %" PRIu64 " made, %" PRIu64 " deleted, %" PRIu64
           " renamed; %" PRIu64 " times everything compared; %s\n",
           second, world_.operations.load(), world_.bytes.load() >> 20, world_.excuses.load(),
           administrator_.created, administrator_.deleted, administrator_.renamed,
           administrator_.verified, troublemaker_.counts().c_str());
    fflush(stdout);
  }

  void finish() {
    if (!verify_all(world_, 0, "at the end")) return;
    rig_.stop_nbds();
    rig_.stop_server(SIGKILL);
    rig_.start_server();
    rig_.wait_for_server();
    verify_all(world_, rig_.start_nbd(), "after a restart of everything");
    rig_.stop_nbds();
    if (const int status = rig_.stop_server(SIGTERM); status != 0)
      world_.fail("csnapd did not end well after SIGTERM:\n" + rig_.log_tail("csnapd.log"));
  }

  Rig& rig_;
  World world_;
  Administrator administrator_;
  Troublemaker troublemaker_;
  std::vector<std::unique_ptr<ClientThread>> clients_;
};

int torture(const Arguments& arguments) {
  std::mt19937_64 random(arguments.seed);
  const std::string folder = make_folder();
  bool good = false;
  {
    auto options = rig_options(arguments, random);
    Troublemaker::Disks disks;
    if (!arguments.has("--no-pull")) {
      const std::string why_not = PulledDisk::prepare_process();
      if (why_not.empty())
        disks = make_disks(folder, options, random);
      else
        printf("no disks are pulled: %s\n", why_not.c_str());
    }
    fflush(stdout);
    Rig rig(options, folder);
    rig.start_server();
    rig.wait_for_server();
    for (std::size_t i = 0; i < kNbds; ++i) rig.start_nbd();
    good = Loop(rig, disks, random).run(arguments.seconds);
  }
  if (good) std::filesystem::remove_all(folder);
  return good ? 0 : 1;
}

}  // namespace

}  // namespace csnap::torture

int main(int argc, char** argv) {
  const auto arguments = csnap::torture::parse_arguments(argc, argv, 40, {"--no-pull"});
  return csnap::torture::torture(arguments);
}
