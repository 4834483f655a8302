// SPDX-License-Identifier: Apache-2.0
#include "client/io_batch.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <memory>

#include "store/aligned_buffer.h"
#include "store/fault_device.h"
#include "store/memory_device.h"

namespace csnap {
namespace {

constexpr std::size_t kSector = 512;

struct Rig {
  std::shared_ptr<MemoryVolume> volume = std::make_shared<MemoryVolume>("volume", 1 << 20, kSector);
  std::shared_ptr<FaultPlan> plan = std::make_shared<FaultPlan>();
  QueuePool pool{std::make_unique<FaultDevice>(std::make_unique<MemoryDevice>(volume), plan)};
  AlignedBuffer buffer{4 * kSector};

  std::span<std::byte> sector(std::size_t i) { return buffer.span().subspan(i * kSector, kSector); }
};

}  // namespace

TEST_CASE("a request alone and several together do the same") {
  const std::size_t count = GENERATE(1, 2, 3);
  Rig rig;
  IoBatch batch(rig.pool.take().value());
  for (std::size_t i = 0; i < count; ++i) {
    std::memset(rig.sector(i).data(), static_cast<int>(i) + 1, kSector);
    batch.write(i * kSector, rig.sector(i));
  }
  REQUIRE(batch.wait().ok());
  REQUIRE(rig.volume->counters().writes == count);
  batch.flush();
  REQUIRE(batch.wait().ok());
  REQUIRE(rig.volume->unflushed() == 0);
  AlignedBuffer back(4 * kSector);
  for (std::size_t i = 0; i < count; ++i)
    batch.read(i * kSector, back.span().subspan(i * kSector, kSector));
  REQUIRE(batch.wait().ok());
  REQUIRE(std::memcmp(back.data(), rig.buffer.data(), count * kSector) == 0);
  REQUIRE(batch.wait().ok());
  REQUIRE(rig.volume->counters().reads == count);
}

TEST_CASE("the failure of a request is that of its batch, and not of the next") {
  const std::size_t count = GENERATE(1, 2);
  Rig rig;
  rig.plan->fail(1, FaultPlan::reads());
  IoBatch batch(rig.pool.take().value());
  for (std::size_t i = 0; i < count; ++i) batch.read(i * kSector, rig.sector(i));
  REQUIRE(batch.wait().code() == Code::io_error);
  batch.read(0, rig.sector(0));
  REQUIRE(batch.wait().ok());
}

TEST_CASE("a request that was kicked off is waited for") {
  Rig rig;
  {
    IoBatch batch(rig.pool.take().value());
    batch.write(0, rig.sector(0));
    batch.kick();
  }
  REQUIRE(rig.volume->counters().writes == 1);
}

TEST_CASE("a request that nobody waited for is carried out at the end") {
  Rig rig;
  { IoBatch(rig.pool.take().value()).write(0, rig.sector(0)); }
  REQUIRE(rig.volume->counters().writes == 1);
}

}  // namespace csnap
