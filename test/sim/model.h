// SPDX-License-Identifier: Apache-2.0
// What every volume must read as. A volume is units of 4 KiB; each write fills a unit with a tag of
// its own, so that any unit found anywhere says which write of which place it came from.
//
// A unit may have several possible tags: a write is under way, has failed, its client has died, or
// the power failed before anybody flushed. What is read must be possible at some moment of the
// read, and settles what is possible from then on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/types.h"
#include "test/sim/disk.h"

namespace csnap::sim {

inline constexpr std::size_t kUnit = 4096;  // bytes
using Tag = std::uint64_t;
struct UnitRun {
  std::uint64_t start = 0, count = 0;
  std::uint64_t end() const { return start + count; }
  bool overlaps(const UnitRun& o) const { return start < o.end() && o.start < end(); }
};

// Durable up to when, of each disk.
struct FlushTimes {
  Micros origin = 0, store = 0, metadata = 0;
};

class Model {
 public:
  // flushed: how much of what completed is durable now.
  Model(std::uint64_t units, std::function<FlushTimes()> flushed, std::function<Micros()> now)
      : units_(units), flushed_(std::move(flushed)), now_(std::move(now)) {}

  static Tag tag(std::uint64_t write, std::uint64_t unit) { return write << 16 | unit; }
  static void fill(std::span<std::byte> unit, Tag tag);

  // -- volumes ---------------------------------------------------------------------------------
  void add_origin(std::uint64_t write);  // holding the tags of that write
  void capture(SnapshotId snapshot);     // as the origin is now
  bool known(SnapshotId volume) const { return volumes_.contains(volume); }
  void forget(SnapshotId volume) { volumes_.erase(volume); }

  // -- writes ----------------------------------------------------------------------------------
  using WriteId = std::uint64_t;
  WriteId begin_write(SnapshotId volume, UnitRun run);
  // Its data is on the way to the disk. Until then nobody can have seen it.
  void submitted(WriteId write) { writes_.at(write).submitted = true; }
  enum class Durability { by_flush, by_commit };
  // written: when the data was on the disk (perhaps in its cache).
  void end_write(WriteId write, Durability how, Micros written);
  // It may have happened, in part, and may yet happen as long as this server lives.
  void fail_write(WriteId write);
  bool writing(SnapshotId volume, UnitRun run) const;

  // -- reads -----------------------------------------------------------------------------------
  using ReadId = std::uint64_t;
  ReadId begin_read(SnapshotId volume, UnitRun run);
  // What is wrong with the data; empty when it is right.
  std::string end_read(ReadId read, std::span<const std::byte> data);
  void drop_read(ReadId read) { reads_.erase(read); }
  // The same at once.
  std::string check(SnapshotId volume, UnitRun run, std::span<const std::byte> data);

  // -- catastrophes ----------------------------------------------------------------------------
  void server_gone();  // what failed before has happened or never will
  void power_cut();
  // Before that: flushes of the store were a lie, and of what was preserved since the last true one
  // nothing may be left. What was written in place has no checksum, so that its whole chunk may be
  // anything.
  void lost_since_flush(std::uint64_t units_per_chunk);

  std::uint64_t units() const { return units_; }

 private:
  struct Unit {
    Tag tag = 0;
    std::vector<Tag> others;     // it may be one of these instead
    std::vector<Tag> undurable;  // what it may be again after a power cut
    Micros origin_written = 0, store_written = 0, metadata_written = 0;
    Micros overwritten = 0;  // of a snapshot: when the origin changed first since it was taken
    bool torn = false;       // sectors may differ
    bool anything = false;   // flushes were a lie, and nothing can tell what is left here
    bool lingers = false;    // others may yet happen
  };
  using Volume = std::vector<Unit>;
  struct Write {
    WriteId id = 0;
    SnapshotId volume;
    UnitRun run;
    std::vector<WriteId> overlaps;  // writes under way at the same time, on some of the same units
    bool submitted = false;
  };
  struct Read {
    SnapshotId volume;
    UnitRun run;
    std::vector<std::vector<Tag>> allowed;  // by unit
    std::vector<bool> torn, anything;
    bool changing = false;  // some of it may have changed meanwhile
  };
  static void add(std::vector<Tag>& tags, Tag tag);
  static bool undurable_still(const Unit& unit, const FlushTimes& flushed);
  std::string judge(const std::vector<Tag>& allowed, bool torn, std::span<const std::byte> data,
                    std::optional<Tag>& uniform) const;
  static void settle(Unit& unit, Tag found, Micros now);
  std::vector<Tag> possible(const Unit& unit, SnapshotId volume, std::uint64_t at) const;
  std::string name(Tag tag) const;

  void touch_reads(SnapshotId volume, UnitRun run);

  std::uint64_t units_;
  std::function<FlushTimes()> flushed_;
  std::function<Micros()> now_;
  std::map<SnapshotId, Volume> volumes_;
  std::map<WriteId, Write> writes_;  // under way
  std::map<ReadId, Read> reads_;     // under way
  std::uint64_t next_ = 2;
};

}  // namespace csnap::sim
