// SPDX-License-Identifier: Apache-2.0
#include "journal/records.h"

#include <catch2/catch.hpp>
#include <random>

#include "journal/journal_format.h"
#include "store/tables.h"

namespace csnap {
namespace {

using Bytes = std::vector<std::byte>;

Bytes encoded(const Record& record) {
  Bytes out;
  encode_record(record, out);
  return out;
}

Result<Record> decoded(const Bytes& bytes) {
  std::span<const std::byte> left(bytes);
  return decode_record(left);
}

Uuid some_uuid(std::uint64_t n) {
  return Uuid::from_random(0x1111111111111111 * n, 0x2222222222222222 + n);
}

// One of each kind, with fields at their limits where they have any.
std::vector<Record> one_of_each() {
  const Chunk last(kMaxChunks - 1);
  const std::string longest(kMaxSnapshotName, 'n');
  return {
      ExceptionAdded{Chunk(7), StoreChunk(300), 0x5, {0xdeadbeef}},
      ExceptionAdded{last, StoreChunk(kMaxChunks - 1), ~ShareMask{0}, {1}},
      ExceptionAdded{Chunk(kMaxChunks - 256), StoreChunk(0), 1,
                     std::vector<std::uint32_t>(kMaxRecordRun, 0xffffffff)},
      SharesCleared{{Chunk(0), kMaxChunks}, 1},
      SharesCleared{{last, 1}, ~ShareMask{0}},
      DataMutable{{StoreChunk(12), 34}},
      SnapshotCreated{SnapshotId(1), some_uuid(1), "monday", 1700000000000000000, 63},
      SnapshotCreated{SnapshotId(~0ULL), Uuid{}, longest, 0, 0},
      SnapshotRenamed{SnapshotId(2), "d\xc3\xa9j\xc3\xa0 vu"},
      SnapshotDeleted{SnapshotId(3)},
      DeletionProgress{SnapshotId(4), {Chunk(1000), 1 << 20}},
      DeletionFinished{SnapshotId(5)},
      ClientOpened{some_uuid(2), kOrigin},
      ClientOpened{some_uuid(3), SnapshotId(9)},
      ClientClosed{some_uuid(4)},
      ClientPool{some_uuid(5), kMaxPools - 1, {StoreChunk(77), 64}},
      ClientPool{some_uuid(5), 0, {StoreChunk(0), 0}},
      ServerStarted{Epoch(12)},
      SnapshotWritten{SnapshotId(6)},
      SnapshotSealed{SnapshotId(6), 7},
      SnapshotReceived{SnapshotId(8), {{some_uuid(6), 17}, std::string(kMaxReceivedPath, 'p')}},
      ReplicationChanged{{}},
      ReplicationChanged{{ReplicationRole::replica,
                          UnfinishedReceive{longest,
                                            {some_uuid(7), 3},
                                            StreamIdentity{some_uuid(8), 2},
                                            SnapshotId(4),
                                            "volume.img",
                                            12288,
                                            true},
                          {Replica{some_uuid(9), "host.example:7680", SnapshotId(1), 99}}}},
  };
}

// A record with these bytes at this place is refused.
void check_refused(Bytes bytes, std::size_t at, const Bytes& instead) {
  std::copy(instead.begin(), instead.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
  const auto record = decoded(bytes);
  REQUIRE_FALSE(record.ok());
  CHECK(record.status().code() == Code::corrupt);
}

Bytes zeros(std::size_t n) {
  return Bytes(n);
}
Bytes ones(std::size_t n) {
  return Bytes(n, std::byte{0xff});
}

TEST_CASE("every kind of record comes back as it was") {
  for (const Record& record : one_of_each()) {
    INFO(to_string(record));
    const Bytes bytes = encoded(record);
    CHECK(bytes.size() == encoded_size(record));
    std::span<const std::byte> left(bytes);
    const auto back = decode_record(left);
    REQUIRE(back.ok());
    CHECK(back.value() == record);
    CHECK(left.empty());
  }
}

TEST_CASE("the test of every kind of record has every kind of record") {
  std::vector<bool> seen(std::variant_size_v<Record>);
  for (const Record& record : one_of_each()) seen[record.index()] = true;
  CHECK(seen == std::vector<bool>(seen.size(), true));
}

TEST_CASE("records one after the other come back in order") {
  Bytes bytes;
  for (const Record& record : one_of_each()) encode_record(record, bytes);
  std::span<const std::byte> left(bytes);
  for (const Record& record : one_of_each()) {
    const auto back = decode_record(left);
    REQUIRE(back.ok());
    CHECK(back.value() == record);
  }
  CHECK(left.empty());
  CHECK_FALSE(decode_record(left).ok());
}

TEST_CASE("a record cut short anywhere is refused and nothing is taken") {
  for (const Record& record : one_of_each()) {
    INFO(to_string(record));
    const Bytes bytes = encoded(record);
    for (std::size_t n = 0; n < bytes.size(); ++n) {
      std::span<const std::byte> left(bytes.data(), n);
      const auto back = decode_record(left);
      REQUIRE_FALSE(back.ok());
      REQUIRE(back.status().code() == Code::corrupt);
      REQUIRE(left.size() == n);
    }
  }
}

TEST_CASE("garbage after the last record is refused") {
  for (const Record& record : one_of_each()) {
    Bytes bytes = encoded(record);
    bytes.push_back(std::byte{0});
    std::span<const std::byte> left(bytes);
    REQUIRE(decode_record(left).ok());
    REQUIRE(left.size() == 1);
    CHECK(decode_record(left).status().code() == Code::corrupt);
  }
}

TEST_CASE("a record of an unknown type is refused") {
  for (unsigned type = 0; type < 256; ++type) {
    if (type >= 1 && type <= std::variant_size_v<Record>) continue;
    Bytes bytes = zeros(100);
    bytes[0] = std::byte(type);
    CHECK(decoded(bytes).status().code() == Code::corrupt);
  }
}

TEST_CASE("an exception without snapshots or without checksum is refused") {
  const Bytes bytes = encoded(ExceptionAdded{Chunk(1), StoreChunk(2), 3, {4, 5}});
  check_refused(bytes, offsetof(DiskExceptionAdded, mask), zeros(8));
  check_refused(bytes, sizeof(DiskExceptionAdded), zeros(4));
  check_refused(bytes, sizeof(DiskExceptionAdded) + 4, zeros(4));
}

TEST_CASE("a run that goes past the last chunk is refused") {
  const Bytes added = encoded(ExceptionAdded{Chunk(1), StoreChunk(2), 3, {4, 5}});
  check_refused(added, offsetof(DiskExceptionAdded, chunk), ones(6));
  check_refused(added, offsetof(DiskExceptionAdded, store), ones(6));
  const Bytes cleared = encoded(SharesCleared{{Chunk(1), 2}, 1});
  check_refused(cleared, offsetof(DiskSharesCleared, chunks), ones(6));
  check_refused(cleared, offsetof(DiskSharesCleared, chunks) + 6, ones(6));
  check_refused(encoded(DataMutable{{StoreChunk(1), 2}}), offsetof(DiskDataMutable, run), ones(6));
  check_refused(encoded(DeletionProgress{SnapshotId(1), {Chunk(1), 2}}),
                offsetof(DiskDeletionProgress, chunks), ones(6));
  check_refused(encoded(ClientPool{some_uuid(1), 0, {StoreChunk(1), 2}}),
                offsetof(DiskClientPool, start), ones(6));
}

TEST_CASE("clearing no share is refused") {
  check_refused(encoded(SharesCleared{{Chunk(1), 2}, 1}), offsetof(DiskSharesCleared, bits),
                zeros(8));
}

TEST_CASE("a snapshot with the origin's id is refused") {
  check_refused(encoded(SnapshotCreated{SnapshotId(1), some_uuid(1), "a", 1, 1}),
                offsetof(DiskSnapshotCreated, id), zeros(8));
  check_refused(encoded(SnapshotRenamed{SnapshotId(1), "a"}), offsetof(DiskSnapshotRenamed, id),
                zeros(8));
  check_refused(encoded(SnapshotDeleted{SnapshotId(1)}), offsetof(DiskSnapshotOnly, id), zeros(8));
  check_refused(encoded(DeletionFinished{SnapshotId(1)}), offsetof(DiskSnapshotOnly, id), zeros(8));
  check_refused(encoded(DeletionProgress{SnapshotId(1), {Chunk(0), 1}}),
                offsetof(DiskDeletionProgress, id), zeros(8));
}

TEST_CASE("a snapshot on a bit that does not exist is refused") {
  check_refused(encoded(SnapshotCreated{SnapshotId(1), some_uuid(1), "a", 1, 63}),
                offsetof(DiskSnapshotCreated, bit), {std::byte{64}});
}

TEST_CASE("a snapshot with a name that no snapshot may have is refused") {
  const Bytes created = encoded(SnapshotCreated{SnapshotId(1), some_uuid(1), "abc", 1, 1});
  check_refused(created, sizeof(DiskSnapshotCreated) + 1, {std::byte{'/'}});
  check_refused(created, sizeof(DiskSnapshotCreated) + 1, {std::byte{0xff}});
  check_refused(created, offsetof(DiskSnapshotCreated, name_bytes), {std::byte{0}});
  const Bytes renamed = encoded(SnapshotRenamed{SnapshotId(1), "abc"});
  check_refused(renamed, sizeof(DiskSnapshotRenamed), {std::byte{'\n'}});
  Bytes too_long = renamed;
  too_long.resize(300, std::byte{'x'});
  check_refused(too_long, offsetof(DiskSnapshotRenamed, name_bytes),
                {std::byte{kMaxSnapshotName + 1}});
}

TEST_CASE("what a store cannot remember of streams is refused") {
  check_refused(encoded(SnapshotSealed{SnapshotId(1), 2}), offsetof(DiskSnapshotSealed, transid),
                zeros(8));
  const Bytes received = encoded(SnapshotReceived{SnapshotId(1), {{some_uuid(1), 2}, "abc"}});
  check_refused(received, sizeof(DiskSnapshotReceived), {std::byte{'\n'}});
  check_refused(received, offsetof(DiskSnapshotReceived, path_bytes), {std::byte{0}});
  const Bytes changed = encoded(ReplicationChanged{
      {ReplicationRole::none,
       UnfinishedReceive{"n", {some_uuid(1), 2}, std::nullopt, kOrigin, "", 0, false},
       {Replica{some_uuid(2), "a:1", SnapshotId(1), 1}}}});
  const auto at = [](std::size_t offset) {
    return offsetof(DiskReplicationChanged, replication) + offset;
  };
  check_refused(changed, at(offsetof(ReplicationDisk, role)), {std::byte{3}});
  check_refused(changed, at(offsetof(ReplicationDisk, flags)), {std::byte{17}});
  check_refused(changed, at(offsetof(ReplicationDisk, flags)), {std::byte{11}});
  check_refused(changed, at(offsetof(ReplicationDisk, flags)), {std::byte{0}});
  check_refused(changed, at(offsetof(ReplicationDisk, name)), {std::byte{'/'}});
  check_refused(changed, at(offsetof(ReplicationDisk, name_length)), {std::byte{65}});
  check_refused(changed, at(offsetof(ReplicationDisk, path_length)), {std::byte{105}});
  check_refused(changed, at(offsetof(ReplicationDisk, parent_id)), {std::byte{1}});
  check_refused(changed, at(offsetof(ReplicationDisk, path)), {std::byte{'x'}});
  const std::size_t replicas = at(offsetof(ReplicationDisk, replicas));
  check_refused(changed, replicas + offsetof(ReplicaDisk, address_length), {std::byte{96}});
  check_refused(changed, replicas + offsetof(ReplicaDisk, address), {std::byte{'\n'}});
  check_refused(changed, replicas + sizeof(ReplicaDisk) + offsetof(ReplicaDisk, at),
                {std::byte{1}});
  Bytes twice = changed;
  std::copy_n(changed.begin() + static_cast<long>(replicas), sizeof(ReplicaDisk),
              twice.begin() + static_cast<long>(replicas + sizeof(ReplicaDisk)));
  check_refused(twice, 0, {});
}

TEST_CASE("a pool that does not exist is refused") {
  check_refused(encoded(ClientPool{some_uuid(1), 0, {StoreChunk(1), 2}}),
                offsetof(DiskClientPool, slot), {std::byte{kMaxPools}});
}

TEST_CASE("random bytes are refused or are exactly what encoding gives") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  const auto kinds = one_of_each();
  unsigned accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = encoded(kinds[rng() % kinds.size()]);
    for (auto changes = 1 + rng() % 3; changes > 0; --changes)
      bytes[rng() % std::min<std::size_t>(bytes.size(), 40)] = std::byte(rng());
    std::span<const std::byte> left(bytes);
    const auto record = decode_record(left);
    if (!record.ok()) {
      REQUIRE(record.status().code() == Code::corrupt);
      continue;
    }
    ++accepted;
    bytes.resize(bytes.size() - left.size());
    REQUIRE(encoded(record.value()) == bytes);
  }
  CHECK(accepted > 0);
}

TEST_CASE("a record is described in one line") {
  CHECK(to_string(ExceptionAdded{Chunk(7), StoreChunk(300), 0x5, {1, 2, 3}}) ==
        "exception added: chunks 7..9 at store chunks 300..302, mask 0x5");
  CHECK(to_string(ClientPool{Uuid{}, 2, {StoreChunk(0), 0}}) ==
        "client pool: 00000000-0000-0000-0000-000000000000 slot 2, given back");
  for (const Record& record : one_of_each())
    CHECK(to_string(record).find('\n') == std::string::npos);
}

}  // namespace
}  // namespace csnap
