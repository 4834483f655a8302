// SPDX-License-Identifier: Apache-2.0
#include "test/dump/dump_rig.h"

#include <catch2/catch.hpp>
#include <regex>

namespace csnap {

Result<bool> TextInput::next(std::string& line) {
  if (at_ == text_.size()) return false;
  const std::size_t end = std::min(text_.find('\n', at_), text_.size());
  if (end - at_ > kMaxDumpLine) return Status(Code::corrupt, "a line that is too long");
  line = text_.substr(at_, end - at_);
  at_ = std::min(end + 1, text_.size());
  return true;
}

Status TextInput::rewind() {
  at_ = 0;
  if (++rewinds == 2 && on_second_pass) on_second_pass(text_);
  return {};
}

void DumpRig::make_history(unsigned writes, bool deleting) {
  std::mt19937_64 rng(options.seed);
  std::uint64_t tag = 1;
  const auto some = [&](std::uint64_t most) {
    const std::uint64_t count = 1 + rng() % most;
    return ChunkRun{Chunk(rng() % (options.origin_chunks - count)), count};
  };
  open();
  REQUIRE(write_origin_now({Chunk(0), options.origin_chunks}, tag++).ok());
  std::vector<SnapshotId> ids;
  for (const char* name : {"monday", "T\xc3\xbc\"\\sday", "sunday", "gone"}) {
    const auto made = create(name);
    REQUIRE(made.ok());
    ids.push_back(made->id);
    for (unsigned i = 0; i < writes; ++i) {
      if (i % 3 != 2) REQUIRE(write_origin_now(some(i % 7 == 0 ? 40 : 2), tag++).ok());
      const SnapshotId id = ids[rng() % ids.size()];
      if (i % 3 == 2) REQUIRE(write_snapshot_now(id, some(3), tag++, rng() % 2 == 0).ok());
    }
  }
  // Neighbours, so that there are long runs too.
  REQUIRE(write_origin_now({Chunk(0), options.origin_chunks / 2}, tag++).ok());
  REQUIRE(remove("gone").ok());
  if (!deleting) until([&] { return engine().list().size() == 3; });
}

Result<std::string> DumpRig::dump(DumpOptions with) {
  MemoryDevice device(store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (metadata) metadata_device = std::make_unique<MemoryDevice>(metadata);
  std::string text;
  const std::uint64_t before = writes();
  const auto totals =
      dump_store(device, metadata_device.get(), with, [&](std::string_view lines) -> Status {
        text += lines;
        return {};
      });
  REQUIRE(writes() == before);
  if (!totals.ok()) return totals.status();
  return text;
}

std::string DumpRig::dump_text() {
  auto text = dump();
  if (!text.ok()) FAIL(text.status().to_string());
  return *text;
}

Result<Restored> DumpRig::restore(const std::string& text, std::size_t cache_bytes) {
  MemoryDevice device(store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (metadata) metadata_device = std::make_unique<MemoryDevice>(metadata);
  TextInput input(text);
  RestoreOptions restore_options;
  restore_options.cache_bytes = cache_bytes;
  restore_options.holder = "a test";
  restore_options.wall_ns = wall_ns;
  return restore_store(device, metadata_device.get(), input, restore_options);
}

void DumpRig::wipe_metadata() {
  const Superblock s = superblock();
  std::mt19937_64 rng(options.seed);
  std::vector<std::byte> rubbish(s.metadata_space().reserved * kBlockSize);
  for (std::byte& byte : rubbish) byte = static_cast<std::byte>(rng());
  meta().poke(0, rubbish);
  if (metadata) store->poke(0, std::span(rubbish).first(s.data.reserved * kBlockSize));
}

Superblock DumpRig::superblock() {
  MemoryDevice device(metadata ? metadata : store);
  auto superblock = read_superblock(device);
  if (!superblock.ok()) FAIL(superblock.status().to_string());
  return *superblock;
}

std::uint64_t DumpRig::writes() const {
  return store->counters().writes + (metadata ? metadata->counters().writes : 0);
}

void DumpRig::compare_all() {
  open();
  check_all();
  close();
  CHECK(mismatches() == 0);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::string text_of(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

std::string comparable(const std::string& dump) {
  static const std::regex kChanges(
      "\"epoch\":[0-9]+,\"sequence\":[0-9]+,\"next_snapshot\":[0-9]+,");
  static const std::regex kWritten("\"written\":(true|false)");
  return std::regex_replace(
      std::regex_replace(dump, kChanges, "", std::regex_constants::format_first_only), kWritten,
      "");
}

}  // namespace csnap
