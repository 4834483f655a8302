// SPDX-License-Identifier: Apache-2.0
#include "store/aio_device.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "store/aio_transfer.h"
#include "store/aligned_buffer.h"
#include "store/flush_thread.h"
#include "test/store/loop_device.h"
#include "test/store/temporary.h"

using namespace csnap;
using csnap::test::LoopDevice;
using csnap::test::TemporaryDirectory;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

std::unique_ptr<AioDevice> opened(const std::string& path, AioOptions options = {}) {
  auto device = AioDevice::open(path, options);
  INFO(device.status().to_string());
  REQUIRE(device.ok());
  return std::move(device).value();
}

void fill(std::span<std::byte> data, std::uint64_t seed) {
  std::mt19937_64 rng(seed);
  for (auto& byte : data) byte = static_cast<std::byte>(rng());
}

std::vector<std::byte> file_bytes(const std::string& path, std::uint64_t offset, std::size_t n) {
  std::ifstream in(path, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  std::vector<std::byte> bytes(n);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(n));
  return bytes;
}

void drain(Device& device) {
  while (device.in_flight() > 0) device.wait();
}

// Random reads, writes and flushes, many at once and never two on one place, against an array.
void compare_with_array(Device& device, std::uint64_t seed, int requests) {
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  constexpr std::size_t kSlots = 32;
  const std::size_t slot_size = device.size() / kSlots / 4096 * 4096;
  std::vector<std::byte> twin(device.size());
  REQUIRE(read_sync(device, 0, twin).ok());
  std::vector<AlignedBuffer> buffers;
  std::vector<bool> busy(kSlots);
  for (std::size_t i = 0; i < kSlots; ++i) buffers.emplace_back(slot_size);
  int left = requests, wrong = 0;
  std::function<void(std::size_t)> start = [&](std::size_t slot) {
    if (left-- <= 0) return;
    const std::size_t unit = device.alignment();
    const std::size_t length = unit * (1 + rng() % (slot_size / unit));
    const std::size_t offset = slot * slot_size + rng() % ((slot_size - length) / unit + 1) * unit;
    const auto data = buffers[slot].span().first(length);
    const auto there = std::span(twin).subspan(offset, length);
    const auto kind = static_cast<IoKind>(rng() % 8 == 0 ? 2 : rng() % 2);
    if (kind == IoKind::write) {
      fill(data.first(unit), rng());
      std::copy(data.begin(), data.end(), there.begin());
    }
    IoRequest request;
    request.kind = kind;
    request.offset = offset;
    if (kind != IoKind::flush) request.data = data;
    request.done = [&, slot, kind, data, there](Status s) {
      wrong += !s.ok();
      if (kind == IoKind::read) wrong += !std::equal(data.begin(), data.end(), there.begin());
      start(slot);
    };
    device.submit(std::move(request));
  };
  for (std::size_t i = 0; i < kSlots; ++i) start(i);
  drain(device);
  REQUIRE(wrong == 0);
  std::vector<std::byte> back(device.size());
  REQUIRE(read_sync(device, 0, back).ok());
  REQUIRE(back == twin);
}

}  // namespace

TEST_CASE("what is written to a file is in the file and is read back") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", 4 * kMiB);
  const auto device = opened(path);
  CHECK(device->size() == 4 * kMiB);
  CHECK(device->name() == path);
  CHECK_FALSE(device->read_only());
  CHECK((device->alignment() == 512 || device->alignment() == 4096));
  AlignedBuffer data(8192), back(8192);
  fill(data.span(), 1);
  REQUIRE(write_sync(*device, 4096, data.span()).ok());
  REQUIRE(flush_sync(*device).ok());
  REQUIRE(read_sync(*device, 4096, back.span()).ok());
  CHECK(std::memcmp(data.data(), back.data(), data.size()) == 0);
  CHECK(std::memcmp(file_bytes(path, 4096, 8192).data(), data.data(), 8192) == 0);
  REQUIRE(read_sync(*device, 16384, back.span()).ok());
  CHECK(back.span()[0] == std::byte{0});
}

TEST_CASE("nothing completes inside submit or kick") {
  const TemporaryDirectory dir;
  const auto device = opened(dir.file("volume", kMiB));
  AlignedBuffer data(4096);
  int done = 0;
  device->submit({IoKind::read, 0, data.span(), [&](Status s) { done += s.ok(); }});
  device->submit({IoKind::read, 1, data.span(), [&](Status s) { done += !s.ok(); }});
  device->kick();
  pollfd fd{device->event_fd(), POLLIN, 0};
  CHECK(::poll(&fd, 1, -1) == 1);
  CHECK(done == 0);
  CHECK(device->in_flight() == 2);
  drain(*device);
  CHECK(done == 2);
}

TEST_CASE("an event loop that sleeps on the eventfd is woken for everything") {
  const TemporaryDirectory dir;
  const bool threaded = GENERATE(false, true);
  const auto device = opened(dir.file("volume", kMiB), {.flush_in_thread = threaded});
  AlignedBuffer data(64 * 4096);
  int done = 0;
  for (std::size_t i = 0; i < 64; ++i) {
    const auto piece = data.span().subspan(i * 4096, 4096);
    device->submit({IoKind::write, i * 4096, piece, [&](Status) {
                      ++done;
                      device->submit({IoKind::flush, 0, {}, [&](Status) { ++done; }});
                      device->submit({IoKind::read, 1, {}, [&](Status) { ++done; }});
                    }});
  }
  device->kick();
  pollfd fd{device->event_fd(), POLLIN, 0};
  while (device->in_flight() > 0) {
    REQUIRE(::poll(&fd, 1, 10000) == 1);
    device->poll();
  }
  CHECK(done == 3 * 64);
}

TEST_CASE("a sleeping owner is woken for a request that was refused at once") {
  const TemporaryDirectory dir;
  const auto device = opened(dir.file("volume", kMiB));
  AlignedBuffer data(4096);
  Code code = Code::ok;
  device->submit({IoKind::read, kMiB, data.span(), [&](Status s) { code = s.code(); }});
  device->kick();
  pollfd fd{device->event_fd(), POLLIN, 0};
  REQUIRE(::poll(&fd, 1, 0) == 1);
  CHECK(code == Code::ok);
  CHECK(device->poll() == 1);
  CHECK(code == Code::out_of_range);
}

TEST_CASE("bad requests are told from each other") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", kMiB);
  const auto device = opened(path);
  AlignedBuffer data(8192);
  CHECK(read_sync(*device, kMiB - 4096, data.span()).code() == Code::out_of_range);
  CHECK(write_sync(*device, kMiB, data.span()).code() == Code::out_of_range);
  CHECK(read_sync(*device, 100, data.span()).code() == Code::invalid);
  CHECK(read_sync(*device, 0, data.span().first(100)).code() == Code::invalid);
  const auto reader = opened(path, {.read_only = true});
  const Status status = write_sync(*reader, 0, data.span());
  CHECK(status.code() == Code::denied);
  CHECK(status.message() == path + ": write of 8192 bytes at offset 0: opened for reading only");
  CHECK(read_sync(*reader, 0, data.span()).ok());
  CHECK(flush_sync(*reader).ok());
}

TEST_CASE("more requests than the queue holds all complete, each once") {
  const TemporaryDirectory dir;
  const auto device = opened(dir.file("volume", 4 * kMiB), {.queue_depth = 4});
  AlignedBuffer data(1000 * 4096);
  std::vector<int> done(1000);
  for (std::size_t i = 0; i < 1000; ++i)
    device->submit({IoKind::write, i * 4096, data.span().subspan(i * 4096, 4096),
                    [&done, i](Status s) { done[i] += s.ok(); }});
  CHECK(device->in_flight() == 1000);
  drain(*device);
  CHECK(std::count(done.begin(), done.end(), 1) == 1000);
}

TEST_CASE("a request of many megabytes is one request") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", 16 * kMiB);
  const auto device = opened(path, {.queue_depth = 2});
  AlignedBuffer data(9 * kMiB + 4096), back(9 * kMiB + 4096);
  fill(data.span(), 3);
  int done = 0;
  device->submit({IoKind::write, 4096, data.span(), [&](Status s) { done += s.ok(); }});
  CHECK(device->in_flight() == 1);
  drain(*device);
  CHECK(done == 1);
  REQUIRE(read_sync(*device, 4096, back.span()).ok());
  CHECK(std::memcmp(data.data(), back.data(), data.size()) == 0);
}

TEST_CASE("a file that became smaller is an error with its name and place") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", kMiB);
  const auto device = opened(path);
  std::filesystem::resize_file(path, kMiB / 2);
  AlignedBuffer data(8192);
  const Status status = read_sync(*device, kMiB / 2 - 4096, data.span());
  CHECK(status.code() == Code::io_error);
  // The first half came; what is left is named.
  CHECK(status.message().find(path + ": read of 4096 bytes at offset 524288: only 0 bytes") == 0);
}

TEST_CASE("an error of the kernel is told with device, offset and cause, and harms no other") {
  const TemporaryDirectory dir;
  const auto path = dir.file("volume", 4 * kMiB);
  const auto device = opened(path);
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{kMiB + 4096, old.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  AlignedBuffer data(8192);
  Status beyond, across, within;
  device->submit({IoKind::write, 2 * kMiB, data.span(), [&](Status s) { beyond = s; }});
  device->submit({IoKind::write, kMiB, data.span(), [&](Status s) { across = s; }});
  device->submit({IoKind::write, 0, data.span(), [&](Status s) { within = s; }});
  drain(*device);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
  ::signal(SIGXFSZ, handler);
  CHECK(within.ok());
  CHECK(beyond.code() == Code::io_error);
  CHECK(beyond.message() == path + ": write of 8192 bytes at offset 2097152: File too large");
  // Half of it went through; the other half was tried and failed.
  CHECK(across.message() == path + ": write of 4096 bytes at offset 1052672: File too large");
}

TEST_CASE("devices that share a file see one another's writes") {
  const TemporaryDirectory dir;
  const auto device = opened(dir.file("volume", kMiB));
  auto shared = device->share();
  REQUIRE(shared.ok());
  CHECK((*shared)->size() == kMiB);
  AlignedBuffer data(4096), back(4096);
  fill(data.span(), 5);
  std::thread other([&] {
    const bool ok = write_sync(**shared, 0, data.span()).ok() && flush_sync(**shared).ok();
    if (!ok) std::abort();
  });
  other.join();
  REQUIRE(read_sync(*device, 0, back.span()).ok());
  CHECK(std::memcmp(data.data(), back.data(), data.size()) == 0);
}

TEST_CASE("a file equals an array of bytes under random requests") {
  const TemporaryDirectory dir;
  const auto seed = std::random_device{}();
  const auto path = dir.file("volume", 4 * kMiB);
  SECTION("with direct I/O") {
    compare_with_array(*opened(path), seed, 2000);
  }
  SECTION("through the page cache") {
    const auto device = opened(path, {.direct = false});
    CHECK_FALSE(device->direct());
    compare_with_array(*device, seed, 2000);
  }
  SECTION("with flushes in a thread and a short queue") {
    compare_with_array(*opened(path, {.queue_depth = 3, .flush_in_thread = true}), seed, 2000);
  }
}

TEST_CASE("a file in memory works like any other") {
  if (!std::filesystem::exists("/dev/shm")) {
    WARN("no /dev/shm here: nothing tested");
    return;
  }
  const TemporaryDirectory dir("/dev/shm");
  const auto device = opened(dir.file("volume", 4 * kMiB));
  compare_with_array(*device, std::random_device{}(), 1000);
}

TEST_CASE("a block device has its own size and sector size") {
  const TemporaryDirectory dir;
  const unsigned sector = GENERATE(512u, 4096u);
  const LoopDevice loop(dir.file("backing", 8 * kMiB), sector);
  if (!loop.made()) {
    WARN("no loop devices here: nothing tested");
    return;
  }
  const auto device = opened(loop.path());
  CHECK(device->size() == 8 * kMiB);
  CHECK(device->alignment() == sector);
  CHECK(device->direct());
  compare_with_array(*device, std::random_device{}(), 500);
}

TEST_CASE("a short transfer goes on where it stopped") {
  std::vector<std::byte> memory(8192);
  Transfer transfer{IoKind::write, 1024, memory};
  Status why;
  CHECK(transfer.account("d", 512, 512, why) == Transfer::Next::again);
  CHECK(transfer.offset == 1536);
  CHECK(transfer.rest.data() == memory.data() + 512);
  CHECK(transfer.rest.size() == 8192 - 512);
  CHECK(transfer.account("d", 512, 8192 - 512, why) == Transfer::Next::finished);
  CHECK(why.ok());
}

TEST_CASE("a transfer that stopped within a sector repeats that sector") {
  std::vector<std::byte> memory(8192);
  Transfer transfer{IoKind::read, 0, memory};
  Status why;
  CHECK(transfer.account("d", 4096, 5000, why) == Transfer::Next::again);
  CHECK(transfer.offset == 4096);
  CHECK(transfer.rest.size() == 4096);
  CHECK(transfer.account("d", 4096, 4000, why) == Transfer::Next::failed);
  CHECK(why.code() == Code::io_error);
  CHECK(why.message().find("d: read of 4096 bytes at offset 4096: only 4000 bytes") == 0);
}

TEST_CASE("an interrupted transfer is sent again as it was") {
  std::vector<std::byte> memory(4096);
  Transfer transfer{IoKind::read, 512, memory};
  Status why;
  CHECK(transfer.account("d", 512, -EINTR, why) == Transfer::Next::again);
  CHECK(transfer.account("d", 512, -EAGAIN, why) == Transfer::Next::again);
  CHECK(transfer.offset == 512);
  CHECK(transfer.rest.size() == 4096);
}

TEST_CASE("a full file system is no_space, any other failure io_error") {
  std::vector<std::byte> memory(4096);
  Transfer transfer{IoKind::write, 512, memory};
  Status why;
  CHECK(transfer.account("d", 512, -ENOSPC, why) == Transfer::Next::failed);
  CHECK(why.code() == Code::no_space);
  CHECK(why.message() == "d: write of 4096 bytes at offset 512: No space left on device");
  CHECK(transfer.account("d", 512, -EIO, why) == Transfer::Next::failed);
  CHECK(why.code() == Code::io_error);
  Transfer flush;
  CHECK(flush.account("d", 512, 0, why) == Transfer::Next::finished);
  CHECK(flush.account("d", 512, -EIO, why) == Transfer::Next::failed);
  CHECK(why.message() == "d: flush: Input/output error");
}

TEST_CASE("the flush thread tells the error of a descriptor that cannot be flushed") {
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  int token = 0;
  std::vector<FlushThread::Finished> finished;
  {
    FlushThread thread(pipe_ends[0], pipe_ends[1]);
    thread.submit(&token);
    while (finished.empty()) finished = thread.collect();
  }
  REQUIRE(finished.size() == 1);
  CHECK(finished[0].token == &token);
  CHECK(finished[0].error == EINVAL);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
}
