// SPDX-License-Identifier: Apache-2.0
// Writers stamp a counter on chunks, each stamp written only after the one before was acknowledged.
// Whatever the writers' paths to the origin, a snapshot made meanwhile must hold a prefix of each
// writer's stamps: all that were acknowledged before it was asked for, none sent after it was
// there, and none without its predecessors.
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <random>
#include <thread>

#include "test/torture/arguments.h"
#include "test/torture/nbd_client.h"
#include "test/torture/rig.h"

namespace csnap::torture {

namespace {

constexpr std::size_t kChunk = 4096;
constexpr std::uint64_t kChunksOfWriter = 256;
constexpr std::uint64_t kOriginSize = 32 << 20;
constexpr std::size_t kKept = 5;  // snapshots looked at again later

struct Writer {
  std::vector<std::unique_ptr<NbdClient>> paths;  // used in turn
  std::uint64_t area = 0;                         // which part of the origin
  std::atomic<std::uint64_t> sent{0}, acknowledged{0};

  std::uint64_t offset(std::uint64_t stamp) const {
    return (area * kChunksOfWriter + stamp % kChunksOfWriter) * kChunk;
  }
  void run(const std::atomic<bool>& stop) {
    std::vector<std::uint64_t> data(kChunk / 8);
    for (std::uint64_t stamp = sent + 1; !stop; ++stamp) {
      std::fill(data.begin(), data.end(), stamp);
      NbdClient& path = *paths[stamp % paths.size()];
      sent = stamp;
      const int error = path.wait(path.write(offset(stamp), std::as_bytes(std::span(data))));
      if (error != 0) die("stamp " + std::to_string(stamp) + ": " + strerror(error));
      acknowledged = stamp;
    }
  }
};

struct Snapshot {
  std::string name;
  std::vector<std::uint64_t> at_least, at_most;  // of each writer
};

class Round {
 public:
  Round(Rig& rig, std::string name, std::uint64_t seed)
      : rig_(rig), name_(std::move(name)), random_(seed) {}

  // Over these csnap-nbds, in turn. The area must be fresh or this round's.
  void add_writer(const std::vector<std::size_t>& nbds) {
    auto writer = std::make_unique<Writer>();
    for (const std::size_t nbd : nbds)
      writer->paths.push_back(NbdClient::connect_surely(rig_.nbd_socket(nbd), "origin"));
    writer->area = next_area++;
    writers_.push_back(std::move(writer));
  }

  void run(std::uint64_t seconds, bool kill) {
    std::vector<std::thread> threads;
    std::atomic<bool> stop{false};
    for (auto& writer : writers_) threads.emplace_back([&writer, &stop] { writer->run(stop); });
    if (kill) threads.emplace_back([this, &stop, seed = random_()] { kill_servers(stop, seed); });
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (std::chrono::steady_clock::now() < end) {
      pause_ms(random_() % 50);
      take_one();
    }
    stop = true;
    for (auto& thread : threads) thread.join();
    while (!kept_.empty()) drop_one();
    std::uint64_t stamps = 0;
    for (auto& writer : writers_) stamps += writer->acknowledged;
    printf("%s: %" PRIu64 " stamps, %" PRIu64 " snapshots, each looked at twice, %" PRIu64
           " kills\n",
           name_.c_str(), stamps, made_, kills_.load());
    fflush(stdout);
    if (stamps < writers_.size() * 10 || made_ < 2) die("that was too little to show anything");
  }

 private:
  void take_one() {
    Snapshot snapshot;
    snapshot.name = name_ + " " + std::to_string(++made_);
    for (auto& writer : writers_) snapshot.at_least.push_back(writer->acknowledged);
    rig_.admin_surely({"create", snapshot.name});
    for (auto& writer : writers_) snapshot.at_most.push_back(writer->sent);
    look_at(snapshot);
    kept_.push_back(std::move(snapshot));
    if (kept_.size() > kKept) drop_one();
  }

  void drop_one() {
    const Snapshot snapshot = std::move(kept_.front());
    kept_.erase(kept_.begin());
    look_at(snapshot);
    rig_.admin_surely({"delete", snapshot.name, "--force"});
  }

  void look_at(const Snapshot& snapshot) {
    const auto client = NbdClient::connect_surely(rig_.nbd_socket(random_() % 2), snapshot.name);
    for (std::size_t i = 0; i < writers_.size(); ++i) {
      std::vector<std::uint64_t> data(kChunksOfWriter * kChunk / 8);
      const int error = client->wait(
          client->read(writers_[i]->offset(0), std::as_writable_bytes(std::span(data))));
      if (error != 0) wrong(snapshot, i, std::string("cannot read it: ") + strerror(error));
      check(snapshot, i, data);
    }
  }

  void check(const Snapshot& snapshot, std::size_t writer, const std::vector<std::uint64_t>& data) {
    constexpr std::size_t kWords = kChunk / 8;
    for (std::size_t i = 0; i < data.size(); ++i)
      if (data[i] != data[i - i % kWords])
        wrong(snapshot, writer, "chunk " + std::to_string(i / kWords) + " is torn");
    const std::uint64_t last = *std::max_element(data.begin(), data.end());
    for (std::uint64_t chunk = 0; chunk < kChunksOfWriter; ++chunk) {
      const std::uint64_t back = (last - chunk) % kChunksOfWriter;  // stamps since this chunk's
      const std::uint64_t expected = chunk > last || back > last ? 0 : last - back;
      if (data[chunk * kWords] != expected)
        wrong(snapshot, writer,
              "stamp " + std::to_string(last) + " is there, but chunk " + std::to_string(chunk) +
                  " holds " + std::to_string(data[chunk * kWords]) + ", not " +
                  std::to_string(expected));
    }
    if (last < snapshot.at_least[writer] || last > snapshot.at_most[writer])
      wrong(snapshot, writer,
            "the last stamp is " + std::to_string(last) + ", not from " +
                std::to_string(snapshot.at_least[writer]) + " to " +
                std::to_string(snapshot.at_most[writer]));
  }

  [[noreturn]] void wrong(const Snapshot& snapshot, std::size_t writer, const std::string& what) {
    rig_.keep();
    die("snapshot " + snapshot.name + ", writer " + std::to_string(writer) + ": " + what +
        "; everything is kept in " + rig_.folder());
  }

  void kill_servers(const std::atomic<bool>& stop, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    while (!stop) {
      for (std::uint64_t wait = 500 + random() % 1500; wait > 0 && !stop; --wait) pause_ms(1);
      rig_.stop_server(random() % 4 == 0 ? SIGTERM : SIGKILL);
      ++kills_;
      pause_ms(random() % 300);
      rig_.start_server();
    }
  }

  static inline std::uint64_t next_area = 0;

  Rig& rig_;
  const std::string name_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<Writer>> writers_;
  std::vector<Snapshot> kept_;
  std::uint64_t made_ = 0;
  std::atomic<std::uint64_t> kills_{0};
};

int point_in_time(const Arguments& arguments) {
  std::mt19937_64 random(arguments.seed);
  RigOptions options;
  options.programs = arguments.programs;
  options.trees = arguments.has("--trees");
  options.origin_size = kOriginSize;
  Rig rig(options);
  rig.start_server();
  rig.wait_for_server();
  rig.start_nbd();
  rig.start_nbd();
  const std::uint64_t seconds = std::max<std::uint64_t>(1, arguments.seconds / 5);
  struct Shape {
    const char* name;
    std::vector<std::vector<std::size_t>> writers;
    bool kill;
  };
  const Shape shapes[] = {
      {"one connection", {{0}}, false},
      {"several connections", {{0}, {0}, {0}, {0}}, false},
      {"two csnap-nbds", {{0}, {0}, {1}, {1}}, false},
      {"one writer through two csnap-nbds", {{0, 1}}, false},
      {"all of that, and csnapd is killed", {{0}, {0}, {1}, {0, 1}}, true},
  };
  for (const Shape& shape : shapes) {
    Round round(rig, shape.name, random());
    for (const auto& writer : shape.writers) round.add_writer(writer);
    round.run(seconds, shape.kill);
  }
  return 0;
}

}  // namespace

}  // namespace csnap::torture

int main(int argc, char** argv) {
  return csnap::torture::point_in_time(
      csnap::torture::parse_arguments(argc, argv, 40, {"--trees"}));
}
