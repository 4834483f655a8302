// SPDX-License-Identifier: Apache-2.0
// A hundred thousand random writes to the origin under a snapshot, each acknowledged to a stock NBD
// client; then csnapd is killed while it is busy with more. After its restart none of the
// exceptions may be missing or wrong, in any chunk of snapshot and origin; and twenty thousand more
// writes, and another kill, may harm none of them.
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <numeric>
#include <random>
#include <thread>

#include "client/csnap.h"
#include "test/torture/arguments.h"
#include "test/torture/nbd_client.h"
#include "test/torture/world.h"

namespace csnap::torture {

namespace {

constexpr std::uint64_t kChunk = 4096;
constexpr std::size_t kWriters = 4, kInFlight = 32;
constexpr std::size_t kPiece = 256 << 10;  // of a comparison
constexpr std::uint32_t kBefore = 1;       // the sequence that the origin is filled with

class Run {
 public:
  Run(const Arguments& arguments, std::uint64_t exceptions)
      : random_(arguments.seed),
        exceptions_(exceptions),
        chunks_(exceptions * 8 / 5),
        content_(chunks_, kBefore),
        rig_(options(arguments, chunks_)) {}

  int run() {
    fill_origin();
    rig_.start_server();
    rig_.wait_for_server();
    rig_.start_nbd();
    rig_.admin_surely({"create", "monday"});
    std::vector<std::uint32_t> order(chunks_);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), random_);
    const auto written = write_until_killed(order);
    check_exceptions(written, "after kill -9");
    verify("after kill -9");
    std::vector<std::uint32_t> more = order;
    std::shuffle(more.begin(), more.end(), random_);
    more.resize(exceptions_ / 5);
    const std::atomic<bool> never{false};
    write(more, never);
    printf("%zu more writes\n", more.size());
    verify("after more writes");
    rig_.stop_server(SIGKILL);
    rig_.start_server();
    rig_.wait_for_server();
    verify("after another kill -9");
    rig_.stop_nbds();
    if (rig_.stop_server(SIGTERM) != 0) fail("csnapd did not end well after SIGTERM");
    return 0;
  }

 private:
  static RigOptions options(const Arguments& arguments, std::uint64_t chunks) {
    RigOptions options;
    options.programs = arguments.programs;
    options.trees = arguments.has("--trees");
    options.origin_size = chunks * kChunk;
    options.store_size = chunks * kChunk * 5 / 4 + (64 << 20);
    options.store_size -= options.store_size % kChunk;
    return options;
  }

  [[noreturn]] void fail(const std::string& what) {
    rig_.keep();
    die(what + "; everything is kept in " + rig_.folder());
  }

  void fill_origin() {
    const std::string content = rig_.path("content");
    const int fd = open(content.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    std::vector<std::byte> data(kPiece);
    for (std::uint64_t at = 0; at < chunks_ * kChunk; at += data.size()) {
      data.resize(std::min<std::size_t>(kPiece, chunks_ * kChunk - at));
      fill(data, at, kBefore, 0);
      if (pwrite(fd, data.data(), data.size(), static_cast<off_t>(at)) !=
          static_cast<ssize_t>(data.size()))
        fail("cannot fill the origin");
    }
    close(fd);
    rig_.write_origin(content);
  }

  // How many of them, from the front, were acknowledged.
  std::uint64_t write_part(std::span<const std::uint32_t> chunks, const std::atomic<bool>& stop) {
    const auto client = NbdClient::connect_surely(rig_.nbd_socket(0), "origin");
    std::vector<std::vector<std::byte>> data(kInFlight, std::vector<std::byte>(kChunk));
    std::uint64_t done = 0;
    while (done < chunks.size() && !stop) {
      const auto batch = chunks.subspan(done, std::min(kInFlight, chunks.size() - done));
      std::vector<std::int64_t> cookies;
      for (std::size_t i = 0; i < batch.size(); ++i) {
        const std::uint32_t sequence = ++sequence_;
        fill(data[i], batch[i] * kChunk, sequence, 0);
        content_[batch[i]] = sequence;
        cookies.push_back(client->write(batch[i] * kChunk, data[i]));
      }
      for (const auto cookie : cookies) {
        if (const int error = client->wait(cookie); error != 0)
          fail(std::string("a write failed: ") + strerror(error));
        ++acknowledged_;
      }
      done += batch.size();
    }
    return done;
  }

  // Of each of the writers' parts.
  std::uint64_t write(std::span<const std::uint32_t> chunks, const std::atomic<bool>& stop) {
    std::vector<std::thread> threads;
    std::atomic<std::uint64_t> written{0};
    const std::size_t share = (chunks.size() + kWriters - 1) / kWriters;
    for (std::size_t at = 0; at < chunks.size(); at += share)
      threads.emplace_back([&, part = chunks.subspan(at, std::min(share, chunks.size() - at))] {
        written += write_part(part, stop);
      });
    for (auto& thread : threads) thread.join();
    return written;
  }

  std::uint64_t write_until_killed(std::span<const std::uint32_t> order) {
    std::atomic<bool> stop{false};
    const auto began = std::chrono::steady_clock::now();
    std::thread killer([&] {
      while (acknowledged_ < exceptions_) pause_ms(1);
      rig_.stop_server(SIGKILL);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
      printf("killed after %" PRIu64 " acknowledged writes in %.1f s\n", acknowledged_.load(),
             took.count());
      stop = true;
      rig_.start_server();
      rig_.wait_for_server();
    });
    const std::uint64_t written = write(order, stop);
    killer.join();
    return written;
  }

  void check_exceptions(std::uint64_t written, const char* when) {
    AdminOptions options;
    options.addresses = {rig_.address()};
    auto admin = Admin::connect(options);
    if (!admin.ok()) fail("no status: " + admin.status().to_string());
    const auto status = (*admin)->status();
    if (!status.ok()) fail("no status: " + status.status().to_string());
    printf("%s: %" PRIu64 " exceptions, %" PRIu64 " blocks of tree\n", when,
           status->exception_chunks, status->tree_blocks);
    if (status->exception_chunks != written) fail(std::to_string(written) + " chunks were written");
  }

  void compare(const std::string& volume, std::uint64_t from, std::uint64_t to, const char* when) {
    const auto client = NbdClient::connect_surely(rig_.nbd_socket(0), volume);
    std::vector<std::byte> got(kPiece), expected(kPiece);
    for (std::uint64_t at = from * kChunk; at < to * kChunk; at += got.size()) {
      got.resize(std::min<std::size_t>(kPiece, to * kChunk - at));
      if (const int error = client->wait(client->read(at, got)); error != 0)
        fail(std::string(when) + ": cannot read " + volume + ": " + strerror(error));
      for (std::size_t i = 0; i < got.size(); i += kChunk) {
        const std::uint64_t chunk = (at + i) / kChunk;
        const auto place = std::span(expected).first(kChunk);
        fill(place, at + i, volume == "origin" ? content_[chunk] : kBefore, 0);
        if (memcmp(got.data() + i, place.data(), kChunk) != 0)
          fail(std::string(when) + ": chunk " + std::to_string(chunk) + " of " + volume +
               " is wrong");
      }
    }
  }

  void verify(const char* when) {
    for (const char* volume : {"monday", "origin"}) {
      std::vector<std::thread> threads;
      for (std::uint64_t i = 0; i < kWriters; ++i)
        threads.emplace_back([this, i, volume, when] {
          compare(volume, chunks_ * i / kWriters, chunks_ * (i + 1) / kWriters, when);
        });
      for (auto& thread : threads) thread.join();
    }
    printf("%s: all %" PRIu64 " chunks of snapshot and origin are right\n", when, chunks_);
    fflush(stdout);
  }

  std::mt19937_64 random_;
  const std::uint64_t exceptions_, chunks_;
  std::vector<std::uint32_t> content_;  // the sequence of each chunk's last write
  std::atomic<std::uint32_t> sequence_{kBefore};
  std::atomic<std::uint64_t> acknowledged_{0};
  Rig rig_;
};

}  // namespace

}  // namespace csnap::torture

int main(int argc, char** argv) {
  const auto arguments = csnap::torture::parse_arguments(argc, argv, 0, {"--quick", "--trees"});
  std::uint64_t exceptions = arguments.has("--quick") ? 10'000 : 100'000;
  if (arguments.has("--trees")) exceptions /= 5;  // each takes the making of a file or two
  return csnap::torture::Run(arguments, exceptions).run();
}
