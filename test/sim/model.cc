// SPDX-License-Identifier: Apache-2.0
#include "test/sim/model.h"

#include <algorithm>
#include <cstring>

namespace csnap::sim {
namespace {

constexpr std::size_t kSector = MemoryVolume::kSector;

// The tag that fills the sector; nothing when it is not filled with one.
std::optional<Tag> sector_tag(std::span<const std::byte> sector) {
  Tag tag = 0;
  std::memcpy(&tag, sector.data(), sizeof(tag));
  if (std::memcmp(sector.data(), sector.data() + sizeof(tag), sector.size() - sizeof(tag)) != 0)
    return std::nullopt;
  return tag;
}

bool contains(const std::vector<Tag>& tags, Tag tag) {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

}  // namespace

void Model::add(std::vector<Tag>& tags, Tag tag) {
  if (!contains(tags, tag)) tags.push_back(tag);
}

void Model::fill(std::span<std::byte> unit, Tag tag) {
  for (std::size_t at = 0; at < unit.size(); at += sizeof(tag))
    std::memcpy(unit.data() + at, &tag, sizeof(tag));
}

void Model::add_origin(std::uint64_t write) {
  Volume& volume = volumes_[kOrigin];
  volume.resize(units_);
  for (std::uint64_t u = 0; u < units_; ++u) volume[u].tag = tag(write, u);
}

void Model::capture(SnapshotId snapshot) {
  Volume& volume = volumes_[snapshot] = volumes_.at(kOrigin);
  for (Unit& unit : volume) unit.overwritten = 0;
  // What was done, and its writer has not heard of it yet. A power cut may tear it.
  for (const auto& [id, write] : writes_) {
    if (write.volume != kOrigin || !write.submitted) continue;
    for (std::uint64_t u = write.run.start; u < write.run.end(); ++u) {
      Unit& unit = volume[u];
      add(unit.others, tag(id, u));
      add(unit.undurable, unit.tag);
      unit.origin_written = now_();
    }
  }
}

void Model::touch_reads(SnapshotId volume, UnitRun run) {
  for (auto& [id, read] : reads_)
    if (read.volume == volume && read.run.overlaps(run)) read.changing = true;
}

Model::WriteId Model::begin_write(SnapshotId volume, UnitRun run) {
  const WriteId id = next_++;
  Write write{id, volume, run, {}};
  for (auto& [other_id, other] : writes_) {
    if (other.volume != volume || !other.run.overlaps(run)) continue;
    other.overlaps.push_back(id);
    write.overlaps.push_back(other_id);
  }
  for (auto& [read_id, read] : reads_) {
    if (read.volume != volume || !read.run.overlaps(run)) continue;
    read.changing = true;
    for (std::uint64_t u = std::max(run.start, read.run.start);
         u < std::min(run.end(), read.run.end()); ++u)
      add(read.allowed[u - read.run.start], tag(id, u));
  }
  writes_.emplace(id, std::move(write));
  return id;
}

void Model::end_write(WriteId id, Durability how, Micros written) {
  const Write write = std::move(writes_.extract(id).mapped());
  Volume& volume = volumes_.at(write.volume);
  touch_reads(write.volume, write.run);
  const FlushTimes flushed = flushed_();
  for (std::uint64_t u = write.run.start; u < write.run.end(); ++u) {
    Unit& unit = volume[u];
    if (!undurable_still(unit, flushed)) unit.undurable.clear();
    add(unit.undurable, unit.tag);
    for (const Tag t : unit.others) add(unit.undurable, t);
    unit.tag = tag(id, u);
    unit.others.clear();
    unit.torn = unit.lingers = unit.anything = false;
    // Of writes that went on beside this one, any may have come last.
    for (const WriteId other : write.overlaps) {
      const auto under_way = writes_.find(other);
      if (under_way != writes_.end() && !under_way->second.run.overlaps({u, 1})) continue;
      unit.others.push_back(tag(other, u));
    }
    if (write.volume == kOrigin) {
      unit.origin_written = std::max(unit.origin_written, written);
      for (auto& [snapshot, content] : volumes_)
        if (snapshot != kOrigin && content[u].overwritten == 0) content[u].overwritten = written;
    } else {
      // One that went on beside it, and was heard of first, may have been written later.
      unit.store_written = std::max(unit.store_written, written);
      if (how == Durability::by_commit)
        unit.metadata_written = std::max(unit.metadata_written, written);
    }
  }
}

void Model::fail_write(WriteId id) {
  const auto found = writes_.find(id);
  if (found == writes_.end()) return;
  const Write write = std::move(writes_.extract(found).mapped());
  Volume& volume = volumes_.at(write.volume);
  touch_reads(write.volume, write.run);
  for (std::uint64_t u = write.run.start; u < write.run.end(); ++u) {
    Unit& unit = volume[u];
    if (unit.tag != tag(id, u)) add(unit.others, tag(id, u));
    unit.lingers = unit.torn = true;
    if (write.volume != kOrigin) continue;
    for (auto& [snapshot, content] : volumes_)
      if (snapshot != kOrigin && content[u].overwritten == 0) content[u].overwritten = 1;
  }
}

bool Model::writing(SnapshotId volume, UnitRun run) const {
  return std::any_of(writes_.begin(), writes_.end(), [&](const auto& w) {
    return w.second.volume == volume && w.second.run.overlaps(run);
  });
}

std::vector<Tag> Model::possible(const Unit& unit, SnapshotId volume, std::uint64_t at) const {
  std::vector<Tag> tags{unit.tag};
  for (const Tag t : unit.others) add(tags, t);
  for (const auto& [id, write] : writes_)
    if (write.volume == volume && write.run.overlaps({at, 1})) add(tags, tag(id, at));
  return tags;
}

Model::ReadId Model::begin_read(SnapshotId volume, UnitRun run) {
  const ReadId id = next_++;
  Read read{volume, run, {}, {}, {}, writing(volume, run)};
  const Volume& content = volumes_.at(volume);
  for (std::uint64_t u = run.start; u < run.end(); ++u) {
    read.allowed.push_back(possible(content[u], volume, u));
    read.torn.push_back(content[u].torn);
    read.anything.push_back(content[u].anything);
  }
  reads_.emplace(id, std::move(read));
  return id;
}

std::string Model::name(Tag t) const {
  return "write " + std::to_string(t >> 16) + " of unit " + std::to_string(t & 0xFFFF);
}

std::string Model::judge(const std::vector<Tag>& allowed, bool torn,
                         std::span<const std::byte> data, std::optional<Tag>& uniform) const {
  std::optional<Tag> first;
  bool same = true;
  for (std::size_t at = 0; at < kUnit; at += kSector) {
    const auto found = sector_tag(data.subspan(at, kSector));
    if (!found || !contains(allowed, *found)) {
      std::string text = "reads as " + (found ? name(*found) : "no write at all") + "; right is";
      for (const Tag t : allowed) text += (t == allowed.front() ? " " : " or ") + name(t);
      return text;
    }
    if (!first) first = found;
    same &= *first == *found;
  }
  if (!same && !torn) return "is torn, and nothing may have torn it";
  if (same) uniform = first;
  return {};
}

// What was found need not be durable yet.
void Model::settle(Unit& unit, Tag found, Micros now) {
  if (unit.others.empty() || unit.lingers) return;
  add(unit.undurable, unit.tag);
  for (const Tag t : unit.others) add(unit.undurable, t);
  unit.origin_written = unit.store_written = unit.metadata_written = now;
  unit.tag = found;
  unit.others.clear();
  unit.torn = false;
}

std::string Model::end_read(ReadId id, std::span<const std::byte> data) {
  const Read read = std::move(reads_.extract(id).mapped());
  Volume& volume = volumes_.at(read.volume);
  for (std::uint64_t i = 0; i < read.run.count; ++i) {
    if (read.anything[i] || volume[read.run.start + i].anything) continue;
    std::optional<Tag> uniform;
    const std::string wrong =
        judge(read.allowed[i], read.torn[i] || volume[read.run.start + i].torn,
              data.subspan(i * kUnit, kUnit), uniform);
    if (!wrong.empty())
      return "unit " + std::to_string(read.run.start + i) + " of " +
             (read.volume == kOrigin ? "the origin"
                                     : "snapshot " + std::to_string(read.volume.value)) +
             " " + wrong;
    if (!read.changing && uniform) settle(volume[read.run.start + i], *uniform, now_());
  }
  return {};
}

std::string Model::check(SnapshotId volume, UnitRun run, std::span<const std::byte> data) {
  return end_read(begin_read(volume, run), data);
}

void Model::server_gone() {
  for (auto& [id, volume] : volumes_)
    for (Unit& unit : volume) unit.lingers = false;
}

bool Model::undurable_still(const Unit& unit, const FlushTimes& flushed) {
  return (unit.origin_written != 0 && unit.origin_written >= flushed.origin) ||
         (unit.store_written != 0 && unit.store_written >= flushed.store) ||
         (unit.metadata_written != 0 && unit.metadata_written >= flushed.metadata);
}

void Model::power_cut() {
  const FlushTimes flushed = flushed_();
  reads_.clear();
  while (!writes_.empty()) fail_write(writes_.begin()->first);
  for (auto& [id, volume] : volumes_) {
    for (Unit& unit : volume) {
      if (undurable_still(unit, flushed)) {
        for (const Tag t : unit.undurable)
          if (t != unit.tag) add(unit.others, t);
        unit.torn |= !unit.undurable.empty();
      }
      unit.undurable.clear();
      unit.origin_written = unit.store_written = unit.metadata_written = 0;
    }
  }
  server_gone();
}

void Model::lost_since_flush(std::uint64_t units_per_chunk) {
  const FlushTimes flushed = flushed_();
  const Volume& origin = volumes_.at(kOrigin);
  const Micros safe = std::min(flushed.store, flushed.metadata);
  const auto in_place = [&](const Unit& unit) {
    return unit.store_written != 0 && unit.store_written >= safe;
  };
  for (auto& [id, volume] : volumes_) {
    if (id == kOrigin) continue;
    for (std::uint64_t u = 0; u < units_; ++u) {
      const std::uint64_t first = u / units_per_chunk * units_per_chunk;
      const auto chunk = volume.begin() + static_cast<long>(first);
      volume[u].anything |=
          writing(id, {first, units_per_chunk}) ||
          std::any_of(chunk, chunk + static_cast<long>(units_per_chunk), in_place);
      // Also by a write that is under way: it was granted, and what granted it is lost.
      if (volume[u].overwritten < safe && !writing(kOrigin, {u, 1})) continue;
      for (const Tag t : possible(origin[u], kOrigin, u)) add(volume[u].others, t);
      volume[u].torn = true;
    }
  }
}

}  // namespace csnap::sim
