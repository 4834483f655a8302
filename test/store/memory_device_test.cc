// SPDX-License-Identifier: Apache-2.0
#include "store/memory_device.h"

#include <poll.h>

#include <catch2/catch.hpp>

#include "store/aligned_buffer.h"

using namespace csnap;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

AlignedBuffer filled(std::size_t size, unsigned value) {
  AlignedBuffer buffer(size);
  std::memset(buffer.data(), static_cast<int>(value), size);
  return buffer;
}

std::shared_ptr<MemoryVolume> volume_of(std::uint64_t size, std::uint32_t alignment = 4096) {
  return std::make_shared<MemoryVolume>("mem", size, alignment);
}

void write(Device& device, std::uint64_t offset, unsigned value, std::size_t size = 4096) {
  REQUIRE(write_sync(device, offset, filled(size, value).span()).ok());
}

unsigned first_byte(const MemoryVolume& volume, std::uint64_t offset) {
  return std::to_integer<unsigned>(volume.bytes(offset, 1)[0]);
}

IoRequest request(IoKind kind, std::uint64_t offset, std::span<std::byte> data, Status& result,
                  int& done) {
  return {kind, offset, data, [&](Status s) {
            result = std::move(s);
            ++done;
          }};
}

}  // namespace

TEST_CASE("a volume reads as zeros where nothing was written, and costs nothing there") {
  auto volume = volume_of(1ULL << 40);
  MemoryDevice device(volume);
  AlignedBuffer buffer = filled(8192, 7);
  REQUIRE(read_sync(device, (1ULL << 40) - 8192, buffer.span()).ok());
  CHECK(buffer.span()[0] == std::byte{0});
  CHECK(buffer.span()[8191] == std::byte{0});
  CHECK(volume->allocated_bytes() == 0);
  write(device, 1ULL << 39, 9);
  CHECK(volume->allocated_bytes() <= 4096);
  CHECK(first_byte(*volume, 1ULL << 39) == 9);
}

TEST_CASE("a request takes effect when it is delivered and not before") {
  auto volume = volume_of(kMiB);
  MemoryDevice device(volume);
  AlignedBuffer buffer = filled(4096, 5);
  Status status;
  int done = 0;
  device.submit(request(IoKind::write, 4096, buffer.span(), status, done));
  device.kick();
  CHECK(done == 0);
  CHECK(device.in_flight() == 1);
  CHECK(first_byte(*volume, 4096) == 0);
  CHECK(device.poll() == 1);
  CHECK(done == 1);
  CHECK(status.ok());
  CHECK(device.in_flight() == 0);
  CHECK(first_byte(*volume, 4096) == 5);
  CHECK(device.poll() == 0);
}

TEST_CASE("what done() submits is delivered by the next poll") {
  MemoryDevice device(volume_of(kMiB));
  int done = 0;
  device.submit({IoKind::flush, 0, {}, [&](Status) {
                   ++done;
                   device.submit({IoKind::flush, 0, {}, [&](Status) { ++done; }});
                 }});
  CHECK(device.poll() == 1);
  CHECK(done == 1);
  CHECK(device.poll() == 1);
  CHECK(done == 2);
}

TEST_CASE("a read past the end is out of range, and a misaligned one invalid") {
  MemoryDevice device(volume_of(kMiB));
  AlignedBuffer buffer(8192);
  CHECK(read_sync(device, kMiB, buffer.span()).code() == Code::out_of_range);
  CHECK(read_sync(device, kMiB - 4096, buffer.span()).code() == Code::out_of_range);
  CHECK(read_sync(device, ~std::uint64_t{4095}, buffer.span()).code() == Code::out_of_range);
  CHECK(read_sync(device, 512, buffer.span()).code() == Code::invalid);
  CHECK(read_sync(device, 0, buffer.span().first(100)).code() == Code::invalid);
  CHECK(read_sync(device, 0, {}).code() == Code::invalid);
  Status status;
  int done = 0;
  device.submit(request(IoKind::read, 0, buffer.span().subspan(64, 4096), status, done));
  device.wait();
  CHECK(status.code() == Code::invalid);
  CHECK(status.message() ==
        "mem: read of 4096 bytes at offset 0: not a multiple of 4096 bytes in offset, length and "
        "memory address");
}

TEST_CASE("a volume of 512-byte alignment takes sectors") {
  auto volume = volume_of(kMiB, 512);
  MemoryDevice device(volume);
  write(device, 512, 3, 512);
  CHECK(first_byte(*volume, 511) == 0);
  CHECK(first_byte(*volume, 512) == 3);
  CHECK(first_byte(*volume, 1024) == 0);
}

TEST_CASE("a read-only device refuses to write") {
  MemoryDevice device(volume_of(kMiB), {.read_only = true});
  CHECK(write_sync(device, 0, filled(4096, 1).span()).code() == Code::denied);
  CHECK(device.read_only());
}

TEST_CASE("the synchronous calls take memory of any alignment") {
  auto volume = volume_of(8 * kMiB);
  MemoryDevice device(volume);
  std::vector<std::byte> memory(3 * kMiB + 1);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i * 7 >> 3);
  const std::span<std::byte> odd = std::span(memory).subspan(1);
  REQUIRE(write_sync(device, 4096, odd).ok());
  CHECK(volume->bytes(4096, odd.size()) == std::vector<std::byte>(odd.begin(), odd.end()));
  std::vector<std::byte> back(odd.size() + 1);
  REQUIRE(read_sync(device, 4096, std::span(back).subspan(1)).ok());
  CHECK(std::equal(odd.begin(), odd.end(), back.begin() + 1));
}

TEST_CASE("a crash takes what was not flushed and leaves what was") {
  auto volume = volume_of(kMiB);
  {
    MemoryDevice device(volume);
    write(device, 0, 1);
    REQUIRE(flush_sync(device).ok());
    write(device, 0, 2);
    write(device, 4096, 2);
    CHECK(volume->unflushed() == 2);
    CHECK(first_byte(*volume, 0) == 2);
    volume->crash_losing_all();
  }
  CHECK(volume->unflushed() == 0);
  CHECK(first_byte(*volume, 0) == 1);
  CHECK(first_byte(*volume, 4096) == 0);
}

TEST_CASE("a crash may also keep everything, the later of two writes on top") {
  auto volume = volume_of(kMiB);
  MemoryDevice device(volume);
  write(device, 0, 1);
  write(device, 0, 2);
  AlignedBuffer in_flight = filled(4096, 3);
  Status status;
  int done = 0;
  device.submit(request(IoKind::write, 4096, in_flight.span(), status, done));
  volume->crash_keeping_all();
  CHECK(first_byte(*volume, 0) == 2);
  CHECK(first_byte(*volume, 4096) == 3);
}

TEST_CASE("a crash asks about every sector of every unflushed write") {
  auto volume = volume_of(kMiB);
  MemoryDevice device(volume);
  write(device, 8192, 1, 8192);
  int asked = 0;
  volume->crash([&](const UnflushedWrite& w, std::size_t sector) {
    CHECK(w.offset == 8192);
    CHECK(w.completed);
    ++asked;
    return sector == 3 || sector == 15;
  });
  CHECK(asked == 16);
  CHECK(first_byte(*volume, 8192) == 0);
  CHECK(first_byte(*volume, 8192 + 3 * 512) == 1);
  CHECK(first_byte(*volume, 8192 + 4 * 512 - 1) == 1);
  CHECK(first_byte(*volume, 8192 + 4 * 512) == 0);
  CHECK(first_byte(*volume, 8192 + 15 * 512) == 1);
}

TEST_CASE("a flush covers the writes completed before its submission and no others") {
  auto volume = volume_of(kMiB);
  MemoryDevice device(volume);
  write(device, 0, 1);
  AlignedBuffer two = filled(4096, 2);
  AlignedBuffer three = filled(4096, 3);
  Status status;
  int done = 0;
  device.submit(request(IoKind::write, 4096, two.span(), status, done));
  device.submit(request(IoKind::flush, 0, {}, status, done));
  device.submit(request(IoKind::write, 8192, three.span(), status, done));
  while (device.in_flight() > 0) device.wait();
  CHECK(volume->unflushed() == 2);
  volume->crash_losing_all();
  CHECK(first_byte(*volume, 0) == 1);
  CHECK(first_byte(*volume, 4096) == 0);
  CHECK(first_byte(*volume, 8192) == 0);
}

TEST_CASE("after a crash the open devices answer power failed and a new one works") {
  auto volume = volume_of(kMiB);
  MemoryDevice device(volume);
  auto shared = device.share();
  REQUIRE(shared.ok());
  AlignedBuffer buffer(4096);
  Status status;
  int done = 0;
  device.submit(request(IoKind::read, 0, buffer.span(), status, done));
  volume->crash_losing_all();
  device.wait();
  CHECK(done == 1);
  CHECK(status.code() == Code::io_error);
  CHECK(status.message() == "mem: read of 4096 bytes at offset 0: power failed");
  CHECK(flush_sync(device).code() == Code::io_error);
  CHECK(write_sync(**shared, 0, buffer.span()).code() == Code::io_error);
  CHECK(volume->unflushed() == 0);
  MemoryDevice again(volume);
  CHECK(read_sync(again, 0, buffer.span()).ok());
}

TEST_CASE("every fate of an unflushed write happens, and the seed decides which") {
  const auto run = [](std::uint64_t seed) {
    auto volume = volume_of(kMiB);
    MemoryDevice device(volume);
    write(device, 0, 1);
    write(device, 0, 2);
    write(device, 4096, 3);
    std::mt19937_64 rng(seed);
    volume->crash(rng);
    return volume->bytes(0, 8192);
  };
  bool lost = false, kept = false, torn = false, older_on_top = false;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    INFO("seed " << seed);
    const auto bytes = run(seed);
    REQUIRE(bytes == run(seed));
    std::size_t sectors = 0;
    for (std::size_t at = 4096; at < 8192; at += 512) sectors += bytes[at] == std::byte{3};
    lost |= sectors == 0;
    kept |= sectors == 8;
    torn |= sectors > 0 && sectors < 8;
    older_on_top |= bytes[0] == std::byte{1};
  }
  CHECK(lost);
  CHECK(kept);
  CHECK(torn);
  CHECK(older_on_top);
}

TEST_CASE("a clone crashes without harm to the original") {
  auto volume = volume_of(kMiB);
  MemoryDevice device(volume);
  write(device, 0, 1);
  auto copy = volume->clone();
  CHECK(copy->unflushed() == 1);
  copy->crash_losing_all();
  CHECK(first_byte(*copy, 0) == 0);
  CHECK(first_byte(*volume, 0) == 1);
  CHECK(flush_sync(device).ok());
  volume->crash_losing_all();
  CHECK(first_byte(*volume, 0) == 1);
}

TEST_CASE("bytes poked into the medium are seen through unflushed writes and survive") {
  auto volume = volume_of(kMiB);
  MemoryDevice device(volume);
  write(device, 0, 1);
  const std::byte damage[1] = {std::byte{99}};
  volume->poke(100, damage);
  AlignedBuffer buffer(4096);
  REQUIRE(read_sync(device, 0, buffer.span()).ok());
  CHECK(buffer.span()[100] == std::byte{99});
  CHECK(buffer.span()[99] == std::byte{1});
  volume->crash_losing_all();
  CHECK(first_byte(*volume, 100) == 99);
  CHECK(first_byte(*volume, 99) == 0);
}

TEST_CASE("completions come in another order when a seed says so, each exactly once") {
  MemoryDevice device(volume_of(kMiB), {.shuffle_seed = 4, .one_at_a_time = true});
  std::vector<int> order;
  for (int i = 0; i < 20; ++i)
    device.submit({IoKind::flush, 0, {}, [&order, i](Status) { order.push_back(i); }});
  for (std::size_t i = 1; i <= 20; ++i) {
    CHECK(device.poll() == 1);
    CHECK(order.size() == i);
  }
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
  std::sort(order.begin(), order.end());
  for (int i = 0; i < 20; ++i) CHECK(order[static_cast<std::size_t>(i)] == i);
}

TEST_CASE("counters count what was carried out") {
  auto volume = volume_of(kMiB);
  MemoryDevice device(volume);
  write(device, 0, 1, 8192);
  AlignedBuffer buffer(4096);
  REQUIRE(read_sync(device, 0, buffer.span()).ok());
  REQUIRE(flush_sync(device).ok());
  CHECK_FALSE(read_sync(device, kMiB, buffer.span()).ok());
  const auto counters = volume->counters();
  CHECK(counters.writes == 1);
  CHECK(counters.bytes_written == 8192);
  CHECK(counters.reads == 1);
  CHECK(counters.bytes_read == 4096);
  CHECK(counters.flushes == 1);
}

TEST_CASE("an abandoned device lets its writes reach the volume and calls nobody") {
  auto volume = volume_of(kMiB);
  int done = 0;
  Status status;
  {
    AlignedBuffer buffer = filled(4096, 8);
    MemoryDevice device(volume);
    device.submit(request(IoKind::write, 0, buffer.span(), status, done));
  }
  CHECK(done == 0);
  CHECK(first_byte(*volume, 0) == 8);
  volume->crash_losing_all();
  CHECK(first_byte(*volume, 0) == 0);
}

TEST_CASE("the eventfd of a memory device is readable while something can be delivered") {
  MemoryDevice device(volume_of(kMiB), {.one_at_a_time = true, .event_fd = true});
  pollfd fd{device.event_fd(), POLLIN, 0};
  REQUIRE(fd.fd >= 0);
  CHECK(::poll(&fd, 1, 0) == 0);
  for (int i = 0; i < 2; ++i) device.submit({IoKind::flush, 0, {}, [](Status) {}});
  CHECK(::poll(&fd, 1, 0) == 1);
  device.poll();
  CHECK(::poll(&fd, 1, 0) == 1);
  device.poll();
  CHECK(::poll(&fd, 1, 0) == 0);
}

TEST_CASE("a volume equals an array of bytes under random requests") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  constexpr std::size_t kSize = 256 * 1024;
  auto volume = volume_of(kSize, 512);
  MemoryDevice device(volume);
  std::vector<std::byte> twin(kSize), durable(kSize);
  for (int i = 0; i < 3000; ++i) {
    const std::size_t length = 512 * (1 + rng() % 20);
    const std::size_t offset = rng() % ((kSize - length) / 512 + 1) * 512;
    AlignedBuffer buffer = filled(length, static_cast<unsigned>(rng() % 256));
    switch (rng() % 8) {
      case 0:
        REQUIRE(flush_sync(device).ok());
        durable = twin;
        break;
      case 1:
      case 2:
      case 3:
        REQUIRE(read_sync(device, offset, buffer.span()).ok());
        REQUIRE(std::equal(buffer.span().begin(), buffer.span().end(),
                           twin.begin() + static_cast<std::ptrdiff_t>(offset)));
        break;
      default:
        REQUIRE(write_sync(device, offset, buffer.span()).ok());
        std::copy(buffer.span().begin(), buffer.span().end(),
                  twin.begin() + static_cast<std::ptrdiff_t>(offset));
    }
  }
  REQUIRE(volume->bytes(0, kSize) == twin);
  volume->crash_losing_all();
  REQUIRE(volume->bytes(0, kSize) == durable);
}
