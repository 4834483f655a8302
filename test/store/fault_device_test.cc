// SPDX-License-Identifier: Apache-2.0
#include "store/fault_device.h"

#include <catch2/catch.hpp>
#include <cstring>

#include "store/memory_device.h"

using namespace csnap;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

struct Fixture {
  std::shared_ptr<MemoryVolume> volume = std::make_shared<MemoryVolume>("mem", kMiB);
  std::shared_ptr<FaultPlan> plan = std::make_shared<FaultPlan>();
  FaultDevice device{std::make_unique<MemoryDevice>(volume), plan};
  AlignedBuffer buffer{4096};

  Status write(std::uint64_t offset, unsigned value = 1) {
    std::memset(buffer.data(), static_cast<int>(value), buffer.size());
    return write_sync(device, offset, buffer.span());
  }
  Status read(std::uint64_t offset) { return read_sync(device, offset, buffer.span()); }
  unsigned byte_at(std::uint64_t offset) {
    return std::to_integer<unsigned>(volume->bytes(offset, 1)[0]);
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "without faults everything passes through") {
  CHECK(write(4096, 7).ok());
  CHECK(byte_at(4096) == 7);
  CHECK(read(4096).ok());
  CHECK(flush_sync(device).ok());
  CHECK(read(kMiB).code() == Code::out_of_range);
  CHECK(plan->triggered() == 0);
  CHECK(plan->counters().reads == 1);
  CHECK(plan->counters().writes == 1);
  CHECK(plan->counters().flushes == 1);
  CHECK(plan->counters().total() == 3);
}

TEST_CASE_METHOD(Fixture, "the n-th request fails, once") {
  plan->fail(3, FaultPlan::any());
  CHECK(write(0).ok());
  CHECK(read(0).ok());
  const Status status = write(4096, 9);
  CHECK(status.code() == Code::io_error);
  CHECK(status.message() == "mem: write of 4096 bytes at offset 4096: fault injected");
  CHECK(byte_at(4096) == 0);
  CHECK(write(4096, 9).ok());
  CHECK(plan->triggered() == 1);
}

TEST_CASE_METHOD(Fixture, "a failure for ever lasts until the plan is healed") {
  plan->fail(2, FaultPlan::writes(), Often::for_ever, Status(Code::no_space, "full"));
  CHECK(write(0).ok());
  CHECK(read(0).ok());
  CHECK(write(0).code() == Code::no_space);
  CHECK(write(0).code() == Code::no_space);
  CHECK(read(0).ok());
  plan->heal();
  CHECK(write(0).ok());
}

TEST_CASE_METHOD(Fixture, "a fault may look at one kind and one place only") {
  plan->fail(1, {.kind = IoKind::read, .from = 8192, .to = 12288}, Often::for_ever);
  CHECK(read(4096).ok());
  CHECK(read(12288).ok());
  CHECK(write(8192).ok());
  CHECK_FALSE(read(8192).ok());
  AlignedBuffer large(12288);
  CHECK_FALSE(read_sync(device, 4096, large.span()).ok());
}

TEST_CASE_METHOD(Fixture, "two faults strike the requests they were told") {
  plan->fail(1, FaultPlan::any(), Often::once, Status(Code::io_error, "first"));
  plan->fail(2, FaultPlan::any(), Often::once, Status(Code::io_error, "second"));
  CHECK(read(0).message().find("first") != std::string::npos);
  CHECK(read(0).message().find("second") != std::string::npos);
  CHECK(read(0).ok());
}

TEST_CASE_METHOD(Fixture, "a delayed request completes after the polls it was told to miss") {
  plan->delay(1, FaultPlan::writes(), 3);
  int done = 0;
  AlignedBuffer late(4096);
  device.submit({IoKind::write, 0, late.span(), [&](Status s) { done += s.ok(); }});
  CHECK(device.in_flight() == 1);
  for (int i = 0; i < 3; ++i) CHECK(device.poll() == 0);
  CHECK(done == 0);
  CHECK(device.poll() == 1);
  CHECK(done == 1);
  plan->delay(1, FaultPlan::reads(), 100);
  CHECK(read(0).ok());
}

TEST_CASE_METHOD(Fixture, "later requests overtake a delayed one") {
  plan->delay(1, FaultPlan::any(), 10);
  std::vector<int> order;
  for (int i = 0; i < 2; ++i)
    device.submit({IoKind::flush, 0, {}, [&order, i](Status) { order.push_back(i); }});
  while (device.in_flight() > 0) device.wait();
  CHECK(order == std::vector<int>{1, 0});
}

TEST_CASE_METHOD(Fixture, "a misdirected write lands elsewhere and says ok") {
  plan->misdirect(1, FaultPlan::writes(), 65536);
  CHECK(write(0, 5).ok());
  CHECK(byte_at(0) == 0);
  CHECK(byte_at(65536) == 5);
}

TEST_CASE_METHOD(Fixture, "a lost write says ok and is nowhere") {
  plan->lose(1, FaultPlan::writes());
  CHECK(write(0, 5).ok());
  CHECK(byte_at(0) == 0);
}

TEST_CASE_METHOD(Fixture, "a flush that lies makes nothing durable") {
  plan->lose(1, FaultPlan::flushes());
  CHECK(write(0, 5).ok());
  CHECK(flush_sync(device).ok());
  volume->crash_losing_all();
  CHECK(byte_at(0) == 0);
}

TEST_CASE_METHOD(
    Fixture,
    "a flipped bit is on the medium, or in what was read, and not in the writer's memory") {
  plan->flip_bit(1, FaultPlan::writes(), 9);
  CHECK(write(0, 0).ok());
  CHECK(byte_at(1) == 2);
  CHECK(buffer.span()[1] == std::byte{0});
  plan->flip_bit(1, FaultPlan::reads(), 8);
  CHECK(read(0).ok());
  CHECK(buffer.span()[1] == std::byte{3});
  CHECK(byte_at(1) == 2);
}

TEST_CASE_METHOD(Fixture,
                 "a power cut at the n-th write takes what was in flight and all that follows") {
  plan->cut_power(2, FaultPlan::writes(), [this] { volume->crash_losing_all(); });
  CHECK(write(0, 1).ok());
  const Status status = write(4096, 2);
  CHECK(status.code() == Code::io_error);
  CHECK(status.message() == "mem: write of 4096 bytes at offset 4096: power failed");
  CHECK(read(0).code() == Code::io_error);
  CHECK(flush_sync(device).code() == Code::io_error);
  CHECK(byte_at(0) == 0);
  auto shared = device.share();
  REQUIRE(shared.ok());
  CHECK(flush_sync(**shared).code() == Code::io_error);
  plan->heal();
  FaultDevice again(std::make_unique<MemoryDevice>(volume), plan);
  CHECK(read_sync(again, 0, buffer.span()).ok());
}

TEST_CASE_METHOD(Fixture, "a power cut without a medium's part in it still silences the device") {
  plan->cut_power(1, FaultPlan::flushes());
  CHECK(write(0, 1).ok());
  CHECK(flush_sync(device).code() == Code::io_error);
  CHECK(write(0, 1).code() == Code::io_error);
}

TEST_CASE_METHOD(Fixture, "the trace tells what was asked, from when it was started") {
  CHECK(write(0).ok());
  plan->start_trace();
  CHECK(write(4096).ok());
  CHECK(flush_sync(device).ok());
  const auto trace = plan->take_trace();
  REQUIRE(trace.size() == 2);
  CHECK(trace[0] == FaultPlan::Traced{IoKind::write, 4096, 4096});
  CHECK(trace[1] == FaultPlan::Traced{IoKind::flush, 0, 0});
  CHECK(write(0).ok());
  CHECK(plan->take_trace().empty());
}

TEST_CASE_METHOD(Fixture, "failing every I/O in turn ends when the operation gets through") {
  std::uint64_t n = 1;
  for (;; ++n) {
    const auto before = plan->triggered();
    plan->heal();
    plan->fail(n, FaultPlan::any());
    const bool ok = write(0).ok() && read(0).ok() && flush_sync(device).ok();
    CHECK(ok == (plan->triggered() == before));
    if (plan->triggered() == before) break;
  }
  CHECK(n == 4);
}
