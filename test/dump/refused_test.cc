// SPDX-License-Identifier: Apache-2.0
// A dump is hostile input: whatever is wrong with it is said with its line, before anything was
// written.
#include <catch2/catch.hpp>

#include "test/dump/dump_rig.h"

namespace csnap {
namespace {

RigOptions small_options() {
  RigOptions options;
  options.origin_chunks = 200;
  options.store_bytes = 8u << 20;
  return options;
}

// A store, its dump by lines, and where in it what begins.
struct Fixture {
  Fixture() : rig(small_options()) {
    rig.make_history(40);
    rig.kill();  // so that there are sessions
    lines = lines_of(rig.dump_text());
    for (std::size_t i = lines.size(); i-- > 0;) {
      if (lines[i].starts_with("{\"chunk\"")) exception = i;
      if (lines[i].starts_with("{\"session\"")) session = i;
      if (lines[i].starts_with("{\"snapshot\"")) snapshot = i;
    }
    REQUIRE(snapshot == 1);
    REQUIRE(session > snapshot);
    REQUIRE(exception > session);
  }

  Status restore(const std::vector<std::string>& changed) {
    const std::uint64_t before = rig.writes();
    const auto restored = rig.restore(text_of(changed));
    CHECK(!restored.ok());
    CHECK(rig.writes() == before);
    return restored.status();
  }
  // With one piece of one line replaced.
  void refused(std::size_t line, const std::string& from, const std::string& to,
               const std::string& why) {
    auto changed = lines;
    const std::size_t at = changed[line].find(from);
    INFO(changed[line] << ": " << from << " -> " << to);
    REQUIRE(at != std::string::npos);
    changed[line].replace(at, from.size(), to);
    const Status status = restore(changed);
    INFO(status.to_string());
    CHECK(status.message().find("line " + std::to_string(line + 1) + ":") != std::string::npos);
    CHECK(status.message().find(why) != std::string::npos);
  }
  // The number after a name, in a line.
  std::string number(std::size_t line, const std::string& name) {
    const std::size_t at = lines[line].find("\"" + name + "\":") + name.size() + 3;
    return lines[line].substr(at, lines[line].find_first_of(",}", at) - at);
  }
  void refused_number(std::size_t line, const std::string& name, const std::string& to,
                      const std::string& why) {
    const std::string key = "\"" + name + "\":";
    refused(line, key + number(line, name) + ",", key + to + ",", why);
  }

  DumpRig rig;
  std::vector<std::string> lines;
  std::size_t snapshot = 0, session = 0, exception = 0;
};

}  // namespace

TEST_CASE("A dump that was cut off anywhere is refused") {
  Fixture f;
  const std::string text = text_of(f.lines);
  const std::uint64_t before = f.rig.writes();
  for (std::size_t length = 0; length + 1 < text.size(); length += 1 + text.size() / 500) {
    const auto restored = f.rig.restore(text.substr(0, length));
    REQUIRE(!restored.ok());
  }
  for (std::size_t keep = 0; keep < f.lines.size(); ++keep)
    REQUIRE(
        !f.rig.restore(text_of({f.lines.begin(), f.lines.begin() + static_cast<long>(keep)})).ok());
  CHECK(f.rig.writes() == before);
}

TEST_CASE("A header that does not fit is refused") {
  Fixture f;
  f.refused(0, "\"csnap_dump\":1", "\"csnap_dump\":2", "version 2");
  f.refused(0, "\"label\":", "\"lable\":", "\"label\" is missing");
  f.refused(0, "\"label\":\"\"", "\"label\":\"a\\u0000b\"", "label");
  f.refused(0, "\"label\":\"\"", "\"label\":\"\",\"colour\":1", "does not belong");
  f.refused_number(0, "chunk_size", "4097", "power of two");
  f.refused_number(0, "chunk_size", "8192", "describes no store");
  f.refused_number(0, "origin_size", "0", "origin");
  f.refused_number(0, "origin_size", "18446744073709551615", "origin");
  f.refused_number(0, "store_size", "18446744073709547520", "describes no store");
  f.refused_number(0, "store_size", "16777216", "describes no store");
  f.refused_number(0, "metadata_size", "1048576", "describes no store");
  f.refused_number(0, "data_reserved", "1", "describes no store");
  f.refused_number(0, "data_bitmap", "1", "overlap");
  f.refused_number(0, "journal", "256", "overlap");
  f.refused_number(0, "next_snapshot", "0", "describes no store");
  f.refused_number(0, "epoch", "18446744073709551615", "count");
  f.refused_number(0, "epoch", "-1", "whole number");
  f.refused_number(0, "epoch", "1.5", "whole number");
}

TEST_CASE("Devices that do not fit the dump are refused") {
  Fixture f;
  TextInput input(text_of(f.lines));
  const auto small = std::make_shared<MemoryVolume>("small", (8u << 20) - 4096);
  MemoryDevice store(small);
  CHECK(restore_store(store, nullptr, input, {}).status().code() == Code::no_space);
  const auto large = std::make_shared<MemoryVolume>("large", 8u << 20);
  MemoryDevice one(large), two(large);
  CHECK(restore_store(one, &two, input, {}).status().code() == Code::invalid);
  CHECK(small->counters().writes + large->counters().writes == 0);
}

TEST_CASE("Snapshots and sessions that cannot be are refused") {
  Fixture f;
  f.refused_number(f.snapshot, "snapshot", "999", "not given yet");
  f.refused_number(f.snapshot, "snapshot", "0", "id or bit");
  f.refused_number(f.snapshot, "bit", "64", "below 64");
  f.refused(f.snapshot + 1, "\"bit\":1", "\"bit\":0", "taken");
  f.refused(f.snapshot, "monday", "mon/day", "slash");
  f.refused(f.snapshot + 2, "sunday", "monday", "already");
  f.refused(f.snapshot, "\"deleted_up_to\":0", "\"deleted_up_to\":7", "deleted_up_to");
  f.refused_number(f.snapshot, "transid", "999", "transid");
  f.refused_number(f.snapshot + 1, "transid", "0", "transid");
  f.refused_number(0, "role", "3", "role");
  f.refused(0, "\"replicas\":[]", "\"replicas\":[7]", "object");
  f.refused(0, "\"receiving\":null", "\"receiving\":{}", "missing");
  f.refused_number(f.session, "volume", "999", "not given yet");
  auto changed = f.lines;
  changed.insert(changed.begin() + static_cast<long>(f.session), f.lines[f.session]);
  CHECK(f.restore(changed).message().find("exists") != std::string::npos);
  std::swap(changed[1], changed[2]);
  CHECK(f.restore(changed).message().find("order") != std::string::npos);
}

TEST_CASE("Exceptions that cannot be are refused") {
  Fixture f;
  const std::size_t e = f.exception;
  f.refused_number(e, "chunk", "200", "beyond the end");
  f.refused_number(e, "chunk", "18446744073709551615", "too large");
  f.refused_number(e, "count", "0", "from 1 to 256");
  f.refused_number(e, "count", "257", "from 1 to 256");
  f.refused_number(e, "store", "1", "cannot hold data");
  f.refused_number(e, "store", "2048", "cannot hold data");
  f.refused_number(e, "store", "140737488355328", "too large");
  f.refused_number(e + 1, "store", f.number(e, "store"), "another exception");
  const std::string mask = f.number(e, "snapshots");
  f.refused(e, mask, "\"0x0000000000000000\"", "no snapshot");
  f.refused(e, mask, "\"0x8000000000000000\"", "not in the dump");
  f.refused(e, mask, "\"0x1\"", "digits");
  f.refused(e, "\"crcs\":[", "\"crcs\":[null,", "one for each chunk");
  f.refused(e, "\"crcs\":[", "\"crcs\":[\"00000000\"],\"x\":[", "");
  f.refused(e, "\"store\":", "\"lost\":true,\"store\":", "does not belong");
  f.refused(e, "\"store\":", "\"lost\":false,\"store\":", "lost");
  f.refused(e, "{", "[", "JSON");
}

TEST_CASE("Lines in another order, twice or left out are refused") {
  Fixture f;
  for (std::size_t i = 0; i + 1 < f.lines.size(); i += 1 + i / 20) {
    INFO("line " << i + 1);
    auto swapped = f.lines, twice = f.lines, without = f.lines;
    std::swap(swapped[i], swapped[i + 1]);
    twice.insert(twice.begin() + static_cast<long>(i), f.lines[i]);
    without.erase(without.begin() + static_cast<long>(i));
    CHECK(!f.restore(twice).ok());
    CHECK(!f.restore(without).ok());
    // Sessions have no order among themselves.
    if (i + 1 < f.session || i >= f.exception || i + 1 == f.session || i + 1 == f.exception)
      CHECK(!f.restore(swapped).ok());
  }
  auto more = f.lines;
  more.push_back("");
  CHECK(f.restore(more).message().find("after the end") != std::string::npos);
}

TEST_CASE("A line longer than any may be is refused") {
  CHECK(parse_dump_line(std::string(kMaxDumpLine + 1, ' ')).status().code() == Code::corrupt);
  CHECK(parse_dump_line(std::string(kMaxDumpLine, '[')).status().code() == Code::corrupt);
}

TEST_CASE("Mutated dumps are refused, or are dumps of another store") {
  Fixture f;
  const std::string text = text_of(f.lines);
  const auto pristine = f.rig.store;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    INFO("seed " << seed);
    std::mt19937_64 rng(seed);
    std::string changed = text;
    for (std::uint64_t n = 1 + rng() % 3; n > 0; --n) {
      char& c = changed[rng() % changed.size()];
      c = rng() % 4 == 0 ? static_cast<char>(rng()) : "0123456789,:\"{}[]abcdefntrue\\"[rng() % 29];
    }
    f.rig.store = pristine->clone();
    const std::uint64_t before = f.rig.writes();
    if (!f.rig.restore(changed).ok()) {
      REQUIRE(f.rig.writes() == before);
    } else {
      REQUIRE(f.rig.dump().ok());
    }
  }
}

TEST_CASE("A dump that changes while it is read leaves a store that says so") {
  Fixture f;
  MemoryDevice device(f.rig.store);
  TextInput input(text_of(f.lines));
  input.on_second_pass = [](std::string& text) {
    const std::size_t at = text.find("monday");
    text.replace(at, 6, "mondag");
  };
  CHECK(restore_store(device, nullptr, input, {}).status().code() == Code::stale);
  CHECK(f.rig.superblock().repairing);
}

TEST_CASE("Every line of a dump is read as it was written") {
  DumpException exception;
  exception.chunks = {Chunk(7), 3};
  exception.store = StoreChunk(900);
  exception.mask = ~ShareMask{0};
  exception.crcs = {1, 0, 0xffffffff};
  std::string text;
  append_dump_line(exception, text);
  CHECK(text ==
        "{\"chunk\":7,\"count\":3,\"store\":900,\"snapshots\":\"0xffffffffffffffff\","
        "\"crcs\":[\"00000001\",null,\"ffffffff\"]}\n");
  CHECK(std::get<DumpException>(*parse_dump_line(text)) == exception);
  exception.store = lost_store(Chunk(7));
  exception.crcs.clear();
  text.clear();
  append_dump_line(exception, text);
  CHECK(text == "{\"chunk\":7,\"count\":3,\"lost\":true,\"snapshots\":\"0xffffffffffffffff\"}\n");
  CHECK(std::get<DumpException>(*parse_dump_line(text)) == exception);
  Snapshot snapshot;
  snapshot.id = SnapshotId(~0ull);
  snapshot.uuid = Uuid::from_random(1, 2);
  snapshot.name = "\xe2\x82\xac \"\\ \xf0\x9f\x98\x80";
  snapshot.created = ~0ull;
  snapshot.bit = 63;
  snapshot.deleting = true;
  snapshot.deleted_up_to = Chunk(5);
  snapshot.transid = ~0ull;
  snapshot.written = true;
  CHECK(std::get<Snapshot>(*parse_dump_line(dump_line(snapshot))) == snapshot);
  snapshot.written = false;
  snapshot.received = {{Uuid::from_random(5, 6), 8}, "a/\"b\""};
  CHECK(std::get<Snapshot>(*parse_dump_line(dump_line(snapshot))) == snapshot);
  DumpHeader header;
  header.replication = {
      ReplicationRole::replica,
      UnfinishedReceive{"m", {Uuid::from_random(7, 8), 2}, std::nullopt, kOrigin, "f", 4096, true},
      {{Uuid::from_random(9, 9), "h:1", SnapshotId(3), 5},
       {Uuid::from_random(9, 8), "unix:/x", SnapshotId(4), 6}}};
  CHECK(std::get<DumpHeader>(*parse_dump_line(dump_line(header))) == header);
  header.replication.receiving->parent = StreamIdentity{Uuid::from_random(1, 9), 1};
  header.replication.receiving->parent_id = SnapshotId(1);
  CHECK(std::get<DumpHeader>(*parse_dump_line(dump_line(header))) == header);
  ClientEntry session;
  session.id = Uuid::from_random(3, 4);
  session.volume = SnapshotId(9);
  session.pools[2] = {StoreChunk(100), 64};
  CHECK(std::get<ClientEntry>(*parse_dump_line(dump_line(session))) == session);
}

}  // namespace csnap
