// SPDX-License-Identifier: Apache-2.0
// A million exceptions (--long: four million), at random places, in a store whose csnapd has a
// cache of 16 MiB: its memory stays near that, and after kill -9 the snapshot still holds what the
// origin held. The questions go straight to csnapd, many chunks in each, so that the time goes
// where it is to be measured.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <memory>
#include <random>
#include <unordered_map>

#include "client/csnap.h"
#include "proto/convert.h"
#include "proto/frame.h"
#include "test/torture/arguments.h"
#include "test/torture/rig.h"

namespace csnap::torture {

namespace {

constexpr std::uint64_t kChunk = 4096;
constexpr std::uint64_t kCache = 16 << 20;
constexpr std::uint64_t kAllowed = kCache + (64 << 20);  // bytes of memory of csnapd
constexpr std::uint64_t kStampEvery = 64;                // chunks of the origin that hold data
constexpr int kRangesOfRequest = 512;
constexpr std::size_t kInFlight = 8;
constexpr std::size_t kSample = 4000;

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

// Bytes, from a line of /proc/PID/status.
std::uint64_t memory_of(pid_t pid, const std::string& field) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;)
    if (word == field + ":") {
      std::uint64_t kibibytes = 0;
      status >> kibibytes;
      return kibibytes << 10;
    }
  die("csnapd is gone");
}

// A client of the origin that only asks.
class Asker {
 public:
  explicit Asker(const std::string& socket_path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, socket_path.c_str(), sizeof(address.sun_path) - 1);
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
      die("cannot connect to csnapd");
    wire::Hello hello;
    hello.set_protocol_version(kProtocolVersion);
    hello.set_client_name("torture_exceptions");
    hello.set_session(uuid_to_proto(Uuid::from_random(1, 2)));
    hello.set_role(wire::ROLE_VOLUME);
    hello.mutable_volume()->set_origin(true);
    send(wire::MESSAGE_HELLO, hello);
    receive();
  }
  ~Asker() { close(fd_); }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  void send(wire::MessageType type, const google::protobuf::MessageLite& body) {
    OutputBuffer out;
    append_frame(out, type, 0, ++last_id_, body);
    for (std::size_t sent = 0; sent < out.size();) {
      const ssize_t n = ::send(fd_, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) die("csnapd closed the connection");
      sent += static_cast<std::size_t>(n);
    }
  }
  // The next reply, which must be a good one.
  void receive() {
    for (;;) {
      auto frame = reader_.next();
      if (!frame.ok()) die(frame.status().to_string());
      if (frame->has_value()) {
        if ((*frame)->header.error()) {
          wire::Error error;
          static_cast<void>(parse_body(**frame, error));
          die("csnapd answers: " + error.message());
        }
        if ((*frame)->header.reply()) return;
        continue;
      }
      const auto room = reader_.prepare();
      const ssize_t n = recv(fd_, room.data(), room.size(), 0);
      if (n <= 0) die("csnapd closed the connection");
      reader_.commit(static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_ = -1;
  std::uint64_t last_id_ = 0;
  FrameReader reader_;
};

class Run {
 public:
  Run(const Arguments& arguments, std::uint64_t exceptions)
      : random_(arguments.seed), exceptions_(exceptions), chunks_(2 * exceptions) {
    RigOptions options;
    options.programs = arguments.programs;
    options.origin_size = chunks_ * kChunk;
    options.store_size = exceptions_ * 4295;  // 4 GiB for a million
    options.store_size -= options.store_size % kChunk;
    // Nobody sends heartbeats here.
    options.server = {"--cache", "16M", "--lease", "600000"};
    rig_ = std::make_unique<Rig>(options);
  }

  int run() {
    stamp_origin();
    rig_->start_server();
    rig_->wait_for_server();
    rig_->admin_surely({"create", "monday"});
    make_exceptions();
    overwrite_sample();
    check_memory("after the load");
    verify("before the kill");
    const auto began = std::chrono::steady_clock::now();
    rig_->stop_server(SIGKILL);
    rig_->start_server();
    rig_->wait_for_server();
    printf("killed, and back after %.2f s\n", seconds_since(began));
    check_status();
    verify("after kill -9");
    check_memory("after recovery and reading");
    printf("the most memory that csnapd had: %" PRIu64 " MiB\n", most_ >> 20);
    if (rig_->stop_server(SIGTERM) != 0) fail("csnapd did not end well after SIGTERM");
    return 0;
  }

 private:
  [[noreturn]] void fail(const std::string& what) {
    rig_->keep();
    die(what + "; everything is kept in " + rig_->folder());
  }

  // What the snapshot must hold of a chunk: the first 8 bytes; the rest is zeros.
  static std::uint64_t old_content(std::uint64_t chunk) {
    return chunk % kStampEvery == 0 ? chunk * 0x9e3779b97f4a7c15u + 1 : 0;
  }

  void stamp_origin() {
    const int fd = open(rig_->path("origin").c_str(), O_WRONLY | O_CLOEXEC);
    std::vector<std::uint64_t> data(kChunk / 8);
    for (std::uint64_t chunk = 0; chunk < chunks_; chunk += kStampEvery) {
      data[0] = old_content(chunk);
      if (pwrite(fd, data.data(), kChunk, static_cast<off_t>(chunk * kChunk)) != ssize_t{kChunk})
        fail("cannot fill the origin");
    }
    fsync(fd);
    close(fd);
  }

  void make_exceptions() {
    std::vector<std::uint32_t> order(chunks_);
    for (std::uint64_t i = 0; i < chunks_; ++i) order[i] = static_cast<std::uint32_t>(i);
    std::shuffle(order.begin(), order.end(), random_);
    order.resize(exceptions_);
    const auto began = std::chrono::steady_clock::now();
    Asker asker(rig_->path("csnapd.sock"));
    std::size_t in_flight = 0;
    std::uint64_t next_report = 10;
    for (std::uint64_t done = 0; done < exceptions_;) {
      wire::UniqueRequest request;
      for (int i = 0; i < kRangesOfRequest && done < exceptions_; ++i, ++done) {
        auto* range = request.add_ranges();
        range->set_start(order[done]);
        range->set_count(1);
      }
      if (in_flight == kInFlight) asker.receive();
      in_flight += in_flight < kInFlight;
      asker.send(wire::MESSAGE_UNIQUE, request);
      if (done / kRangesOfRequest % 16 == 0) check_memory("under load");
      if (seconds_since(began) > static_cast<double>(next_report)) {
        printf("%" PRIu64 " s: %" PRIu64 " exceptions, csnapd has %" PRIu64 " MiB\n", next_report,
               done, memory_of(rig_->server().pid(), "VmRSS") >> 20);
        fflush(stdout);
        next_report += 10;
      }
    }
    for (; in_flight > 0; --in_flight) asker.receive();
    const double took = seconds_since(began);
    printf("%" PRIu64 " exceptions in %.1f s, %.0f a second\n", exceptions_, took,
           static_cast<double>(exceptions_) / took);
    fflush(stdout);
    asker.send(wire::MESSAGE_GOODBYE, wire::Goodbye());
    asker.receive();
    for (std::size_t i = 0; i < kSample; ++i) {
      // Some with data among them, some at the very end.
      std::uint64_t chunk = order[i < kSample / 4 ? exceptions_ - 1 - i : random_() % exceptions_];
      if (i % 2 == 0) chunk -= chunk % kStampEvery;
      sample_.push_back(chunk);
    }
  }

  std::unique_ptr<Volume> open_volume(const std::string& name) {
    OpenOptions options;
    options.addresses = {rig_->address()};
    options.volume = name;
    auto volume = Volume::open(options);
    if (!volume.ok()) fail("cannot open " + name + ": " + volume.status().to_string());
    return std::move(volume).value();
  }

  void overwrite_sample() {
    const auto origin = open_volume("origin");
    const std::vector<std::byte> data(kChunk, std::byte{0xee});
    for (const std::uint64_t chunk : sample_)
      if (auto status = origin->write(chunk * kChunk, data); !status)
        fail("cannot write the origin: " + status.to_string());
  }

  void verify(const char* when) {
    const auto origin = open_volume("origin");
    const auto snapshot = open_volume("monday");
    std::vector<std::uint64_t> got(kChunk / 8);
    for (const std::uint64_t chunk : sample_) {
      const auto bytes = std::as_writable_bytes(std::span(got));
      if (auto status = snapshot->read(chunk * kChunk, bytes); !status)
        fail(std::string(when) + ": cannot read the snapshot: " + status.to_string());
      if (got[0] != old_content(chunk) ||
          std::any_of(got.begin() + 1, got.end(), [](std::uint64_t word) { return word != 0; }))
        fail(std::string(when) + ": chunk " + std::to_string(chunk) + " of the snapshot is wrong");
      if (auto status = origin->read(chunk * kChunk, bytes); !status)
        fail(std::string(when) + ": cannot read the origin: " + status.to_string());
      if (got[0] != 0xeeeeeeeeeeeeeeeeu)
        fail(std::string(when) + ": chunk " + std::to_string(chunk) + " of the origin is wrong");
    }
    printf("%s: %zu chunks of origin and snapshot are right\n", when, sample_.size());
    fflush(stdout);
  }

  void check_status() {
    AdminOptions options;
    options.addresses = {rig_->address()};
    auto admin = Admin::connect(options);
    if (!admin.ok()) fail("no status: " + admin.status().to_string());
    const auto status = (*admin)->status();
    if (!status.ok()) fail("no status: " + status.status().to_string());
    printf("%" PRIu64 " exceptions in the store, %" PRIu64 " blocks of tree\n",
           status->exception_chunks, status->tree_blocks);
    if (status->exception_chunks < exceptions_) fail("exceptions are missing");
  }

  void check_memory(const char* when) {
    const std::uint64_t now = memory_of(rig_->server().pid(), "VmHWM");
    most_ = std::max(most_, now);
    // A sanitizer's own memory is no matter.
    if (now > kAllowed && std::getenv("CSNAP_SANITIZED") == nullptr)
      fail(std::string(when) + ": csnapd had " + std::to_string(now >> 20) + " MiB of memory");
  }

  std::mt19937_64 random_;
  const std::uint64_t exceptions_;
  const std::uint64_t chunks_;
  std::unique_ptr<Rig> rig_;
  std::vector<std::uint64_t> sample_;
  std::uint64_t most_ = 0;
};

}  // namespace

}  // namespace csnap::torture

int main(int argc, char** argv) {
  const auto arguments = csnap::torture::parse_arguments(argc, argv, 0, {"--long", "--quick"});
  std::uint64_t exceptions = 1'000'000;
  if (arguments.has("--long")) exceptions *= 4;
  if (arguments.has("--quick")) exceptions /= 10;
  csnap::torture::Run run(arguments, exceptions);
  return run.run();
}
