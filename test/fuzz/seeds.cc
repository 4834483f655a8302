// SPDX-License-Identifier: Apache-2.0
// fuzz_seeds FOLDER: writes the seeds, inputs that reach deep by intent, as FOLDER/TARGET/NAME.
// What a fuzzer found worth keeping lies beside them.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>

#include "journal/records.h"
#include "server/dump.h"
#include "server/pack.h"
#include "store/crc.h"
#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

std::filesystem::path folder;

class Seed {
 public:
  Seed& u8(std::initializer_list<unsigned> values) {
    for (const unsigned value : values) bytes_.push_back(static_cast<std::byte>(value));
    return *this;
  }
  Seed& u16(std::initializer_list<unsigned> values) {
    for (const unsigned value : values) u8({value & 255, value >> 8});
    return *this;
  }
  Seed& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  Seed& bytes(const std::vector<std::byte>& more) {
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    return *this;
  }
  Seed& text(const char* more) {
    for (; *more != 0; ++more) bytes_.push_back(static_cast<std::byte>(*more));
    return *this;
  }
  void save(const char* target, const std::string& name) const {
    std::filesystem::create_directories(folder / target);
    std::ofstream file(folder / target / name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes_.data()),
               static_cast<std::streamsize>(bytes_.size()));
    file.flush();
    fuzz::require(file.good(), "writing a seed", name);
  }

 private:
  std::vector<std::byte> bytes_;
};

std::vector<std::byte> encoded(std::initializer_list<Record> records) {
  std::vector<std::byte> bytes;
  for (const Record& record : records) encode_record(record, bytes);
  return bytes;
}

Uuid uuid(std::uint64_t n) {
  return Uuid::from_random(n, n);
}

std::uint32_t crc_of_zeros() {
  return stored_checksum(crc32c(std::vector<std::byte>(kBlockSize)));
}

void blocks() {
  Seed()
      .u16({0, 0})
      .u8({0})
      .u16({10, 20})
      .u8({1, 0})
      .u16({0, 0})
      .u8({0, 2})
      .u16({15, 3})
      .u8({1})
      .u8({3})
      .u16({0, 0})
      .u8({0})
      .save("leaf", "edit");
  Seed many;
  many.u16({0, 0});
  for (unsigned i = 0; i < 120; ++i)
    many.u8({0}).u16({i * 77 % 997, i % 5}).u8({i % 7, i, 0, 0, 0});
  many.u8({3}).u16({0, 0}).u8({0}).save("leaf", "many");
  Seed()
      .u16({1, 1})
      .u16({10, 0, 0})
      .u16({99, 0, 0})
      .u8({3, 0})
      .u16({5, 0, 0, 0})
      .u8({2})
      .u16({11, 0})
      .u8({0})
      .save("leaf", "one");
  Seed node;
  node.u16({0}).u8({0});
  for (unsigned i = 0; i < 60; ++i) node.u8({0}).u16({i * 13, i}).u16({3, 0, 0, 0});
  node.u8({3}).u16({20}).u8({1}).u16({7}).u8({2}).u16({9, 1, 0, 0, 0}).u8({7}).u16({30});
  node.save("node", "edit");
  Seed()
      .u16({2})
      .u8({1})
      .u16({0, 0, 0, 5, 0, 0, 1, 0, 0, 0})
      .u16({9, 0, 0, 6, 0, 0, 3, 0, 0, 0})
      .u8({1})
      .u16({0})
      .save("node", "two");
}

void records() {
  const ExceptionAdded added{Chunk(5), StoreChunk(1200), 1, {crc_of_zeros(), crc_of_zeros()}};
  const SnapshotCreated created{SnapshotId(1), uuid(1), "one", 1000, 0};
  const auto all = encoded(
      {ServerStarted{Epoch(2)}, created, added, DataMutable{{StoreChunk(1200), 1}},
       SnapshotRenamed{SnapshotId(1), "two"}, ClientOpened{uuid(2), SnapshotId(1)},
       ClientPool{uuid(2), 0, {StoreChunk(1300), 8}}, ClientPool{uuid(2), 0, {StoreChunk(0), 0}},
       ClientClosed{uuid(2)}, SharesCleared{{Chunk(5), 1}, 1}, SnapshotDeleted{SnapshotId(1)},
       DeletionProgress{SnapshotId(1), {Chunk(0), 256}}, DeletionFinished{SnapshotId(1)}});
  const Replication replication{
      ReplicationRole::replica,
      UnfinishedReceive{
          "two", {uuid(3), 9}, StreamIdentity{uuid(1), 1}, SnapshotId(1), "volume.img", 4096, true},
      {Replica{uuid(4), "127.0.0.1:7680", SnapshotId(1), 2000}}};
  Seed()
      .bytes(encoded({created, SnapshotReceived{SnapshotId(1), {{uuid(3), 9}, "volume.img"}},
                      SnapshotWritten{SnapshotId(1)}, SnapshotSealed{SnapshotId(1), 2},
                      ReplicationChanged{replication}}))
      .save("records", "streams");
  Seed().bytes(all).save("records", "all");
  for (const unsigned open : {0u, 1u}) {
    const std::string how = open ? "_open" : "";
    const auto size = static_cast<unsigned>(all.size());
    Seed().u8({open}).u16({size}).bytes(all).save("recovery", "all" + how);
    const auto start = encoded({ServerStarted{Epoch(1)}, created});
    const auto second =
        encoded({added, ExceptionAdded{Chunk(7), StoreChunk(1202), 1, {crc_of_zeros()}}});
    const auto third = encoded({SnapshotDeleted{SnapshotId(1)}});
    Seed seed;
    seed.u8({open});
    for (const auto* commit : {&start, &second, &third})
      seed.u16({static_cast<unsigned>(commit->size())}).bytes(*commit);
    seed.save("recovery", "three" + how);
  }
  Seed()
      .u8({3, 0, 0, 0})
      .u16({30})
      .u8({2})
      .zeros(30)
      .u16({40, 41})
      .u8({4, 0, 0})
      .u16({5000})
      .u8({1})
      .zeros(5000)
      .u16({42})
      .u8({0, 0, 64})
      .u16({3})
      .u8({0, 1, 2, 3})
      .save("journal", "three");
  Seed()
      .u8({20, 1, 0, 0})
      .u16({8})
      .u8({0})
      .zeros(8)
      .u8({1})
      .u16({16})
      .u8({4, 9, 0, 0, 0})
      .u8({2, 0x38, 0})
      .u16({0})
      .u8({0})
      .save("journal", "later");
}

void stores() {
  Seed().u8({0, 0}).save("superblock", "good");
  Seed().u8({1, 0}).save("superblock", "large_chunks");
  Seed().u8({2, 0}).save("superblock", "separate");
  // Levels and root of a tree; another label.
  Seed()
      .u8({0, 2})
      .u16({60})
      .u8({4, 1, 0, 0, 0})
      .u16({280})
      .u8({8})
      .u16({300, 0, 0, 0})
      .save("superblock", "tree");
  Seed().u8({8, 1}).u16({336}).u8({2}).text("ab").u8({1}).u16({336}).u8({2}).text("cd").save(
      "superblock", "differ");
  Seed()
      .u16({9})
      .u8({0, 4})
      .u16({0})
      .u8({1, 1})
      .u16({16})
      .u8({1, 7})
      .u16({42})
      .u8({1, 2})
      .u16({48})
      .u8({2})
      .text("ab")
      .save("tables", "snapshot");
  Seed()
      .u16({9})
      .u8({128, 3})
      .u16({0})
      .u8({1, 1})
      .u16({16})
      .u8({1, 0})
      .u16({24})
      .u8({10})
      .u16({600, 0, 0, 4, 0})
      .save("tables", "client");
  Seed()
      .u8({1, 3, 1, 3, 4})
      .u16({10})
      .u8({2, 1})
      .u16({20})
      .u8({2, 2})
      .u16({30})
      .u8({9, 1})
      .u16({40})
      .u8({1, 3})
      .u8({0})
      .u16({12})
      .u8({30, 4, 1})
      .u16({10})
      .u8({15, 1, 2})
      .u16({0})
      .u8({0, 2, 3})
      .u16({25})
      .save("tree", "leaf");
  Seed()
      .u8({2, 5, 3, 133, 2, 1})
      .u16({0})
      .u8({3, 3})
      .u16({100})
      .u8({4, 1})
      .u8({3, 2})
      .u16({10})
      .u8({2, 1})
      .u16({20})
      .u8({2, 2})
      .u8({4, 1})
      .u16({110})
      .u8({3, 1})
      .u8({0})
      .u16({90})
      .u8({30, 4, 1})
      .u16({0})
      .u8({255, 255})
      .save("tree", "node");
}

// A store with snapshots, one of them being deleted, a session and its pool, exceptions with and
// without checksums; and one with nothing in it.
void dumps_and_packs() {
  const auto crc = crc_of_zeros();
  const std::vector<std::vector<std::byte>> commits{
      encoded({ServerStarted{Epoch(2)}, SnapshotCreated{SnapshotId(1), uuid(1), "one", 1000, 0},
               SnapshotCreated{SnapshotId(2), uuid(2), "two", 2000, 1},
               ExceptionAdded{Chunk(5), StoreChunk(1200), 3, {crc, crc, crc}},
               ExceptionAdded{Chunk(9), StoreChunk(1210), 1, {crc}},
               ExceptionAdded{Chunk(9), StoreChunk(1211), 2, {crc}}}),
      encoded({DataMutable{{StoreChunk(1201), 1}}, ClientOpened{uuid(3), SnapshotId(1)},
               ClientPool{uuid(3), 1, {StoreChunk(1300), 8}}, SnapshotDeleted{SnapshotId(2)},
               DeletionProgress{SnapshotId(2), {Chunk(0), 8}}})};
  for (const bool full : {false, true}) {
    MemoryDevice device(full ? fuzz::killed_store(commits) : fuzz::new_store());
    std::string text;
    const auto dumped = dump_store(device, nullptr, {}, [&](std::string_view lines) {
      text += lines;
      return Status();
    });
    fuzz::require_ok(dumped.status(), "a dump");
    Seed().text(text.c_str()).save("dump", full ? "full" : "empty");
    std::string file;
    const auto packed = pack_store(device, nullptr, {}, [&](std::string_view bytes) {
      file += bytes;
      return Status();
    });
    fuzz::require_ok(packed.status(), "a pack");
    const auto bytes = std::as_bytes(std::span(file));
    Seed().u8({1}).bytes({bytes.begin(), bytes.end()}).save("pack", full ? "full" : "empty");
  }
}

// See messages.cc.
void messages() {
  constexpr unsigned kHello = 4, kAsk = 5, kAnswer = 7, kAdmin = 8, kPass = 9;
  // For say_hello(): an observer, one role further, may not make the snapshots all else is about.
  constexpr unsigned kAsAdmin = 128;
  // An admin on connection 3 makes a snapshot; origin writes; a reader and a writer of the
  // snapshot.
  Seed life;
  life.u8(
      {3, kHello, kAsAdmin, 0, 0, kHello, 0, 0, 3, kAdmin, 0, 1, 0, kAnswer, 0, 3, kAdmin, 0, 2});
  life.u8({0, kAnswer, 0, 0, kAsk, 0, 1, 3, 8, 40, 4});
  life.u8({1, kHello, 1, 17, 1, kAsk, 1, 0, 0, 60, 0, kAsk, 0, 0, 50, 9, 1, kAnswer, 1});
  life.u8({2, kHello, 2, 33, 2, kAsk, 3, 0, 4, 9, 2, kAnswer, 2, 0, 2, kAsk, 2, 0, 100, 5});
  life.u8({3, kAdmin, 12, 0, 3, kAdmin, 4, 0, 3, kAdmin, 5, 0, 3, kAdmin, 6, 1, 3, kAdmin, 6, 2});
  life.u8({3, kAdmin, 3, 0x31, 3, kAdmin, 10, 2, 2, kAnswer, 3, 3, kAdmin, 2, 3, 0, kPass, 200});
  life.save("messages", "life");
  // A copy offered, made, made badly, and lost with its connection.
  Seed copies;
  copies.u8({3, kHello, kAsAdmin, 0, 0, kHello, 0, 0, 3, kAdmin, 0, 1, 0, kAnswer, 0});
  copies.u8({0, kAnswer, 8, 1, 0, kAsk, 0, 0, 5, 4, 0, kAnswer, 9, 0});
  copies.u8({0, kAsk, 0, 0, 20, 4, 0, kAnswer, 9, 4, 0, kAsk, 0, 0, 40, 4, 0, 10});
  copies.u8({0, kHello, 0, 4, 0, kAnswer, 8, 0, 0, kAnswer, 9, 128});
  copies.save("messages", "copies");
  Seed back;
  back.u8({3, kHello, kAsAdmin, 0, 3, kAdmin, 0, 1, 1, kHello, 1, 17, 1, kAsk, 1, 0, 0, 20});
  back.u8({64, 10, 1, kHello, 1, 21, 1, kAnswer, 5, 1, 0, 4, 1, kAnswer, 6, 0, kHello, 0, 0});
  back.u8({0, kAsk, 0, 0, 1, 3, 1, kAnswer, 1, 1, kAnswer, 7, 0, kPass, 250});
  back.save("messages", "restart");
  // Frames by hand: a Hello of an observer, a request with a range of 3 from 5 on.
  Seed()
      .u8({0, 0, 0, 2, 2, 4, 8, 1, 48, 3, 0, 2, 88, 0, 0, 2, 16, 6, 10, 4, 8, 5, 16, 3})
      .u8({1, 0, 1, 1, 20})
      .u16({4, 0, 2, 0, 1, 0, 0, 0})
      .u8({8, 1, 48, 3})
      .save("messages", "raw");
  Seed()
      .u8({0,   kHello, 0, 0, 0, 11, 128, kAsk, 0,  0,     1,  3,
           128, kAsk,   0, 0, 1, 3,  0,   10,   32, kPass, 255})
      .u8({0, kHello, 0, 4, 0, 2, 77, 0, 0, 2, 255, 0})
      .save("messages", "held");
}

// See stream.cc.
void streams() {
  constexpr unsigned kPath = 15, kUuid = 1, kCtransid = 2, kSize = 4, kOffset = 18, kData = 19;
  constexpr unsigned kCloneUuid = 20, kCloneCtransid = 21, kClonePath = 22, kCloneOffset = 23,
                     kCloneLength = 24, kPathTo = 16;
  // {command, attributes, each {type, length, bytes}}
  const auto identity = [](Seed& seed, unsigned uuid, unsigned ctransid, unsigned who) {
    seed.u8({uuid, 16, who}).zeros(15).u8({ctransid, 8, who}).zeros(7);
  };
  Seed life;
  life.u8({1, 1, 3, kPath, 1, 's'});
  identity(life, kUuid, kCtransid, 1);
  life.u8({3, 1, kPath, 1, 'o', 9, 2, kPath, 1, 'o', kPathTo, 1, 'f'});
  life.u8({15, 3, kPath, 1, 'f', kOffset, 8, 16}).zeros(7).u8({kData, 4, 1, 2, 3, 4});
  life.u8({16, 7, kPath, 1, 'f', kOffset, 8, 64}).zeros(7);
  identity(life, kCloneUuid, kCloneCtransid, 1);
  life.u8({kClonePath, 1, 'f', kCloneOffset, 8, 16}).zeros(7).u8({kCloneLength, 8, 8}).zeros(7);
  life.u8({17, 2, kPath, 1, 'f', kSize, 8, 0, 16}).zeros(6).u8({21, 0});
  life.u8({2, 5, kPath, 1, 't'});
  identity(life, kUuid, kCtransid, 2);
  identity(life, kCloneUuid, kCloneCtransid, 1);
  life.u8({15, 3, kPath, 1, 'f', kOffset, 8, 1}).zeros(7).u8({kData, 1, 9, 21, 0});
  life.save("stream", "life");
  Seed on;
  on.u8({1, 2, 6, kPath, 1, 's'});
  identity(on, kUuid, kCtransid, 3);
  identity(on, kCloneUuid, kCloneCtransid, 3);
  on.u8({kCloneOffset, 8, 32}).zeros(7).u8({21, 0});
  on.save("stream", "goes_on");
  Seed().u8({2}).text("btrfs-stream").u8({0, 1, 0, 0, 0, 0, 0, 0, 0, 21, 0}).save("stream", "raw");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("Usage: fuzz_seeds FOLDER\n", stderr);
    return 2;
  }
  folder = argv[1];
  blocks();
  records();
  stores();
  dumps_and_packs();
  messages();
  streams();
  return 0;
}
