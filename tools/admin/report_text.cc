// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdio>
#include <ctime>

#include "store/types.h"
#include "tools/admin/replication_report.h"
#include "tools/admin/report.h"
#include "tools/common/size.h"
#include "tools/common/table.h"

namespace csnap {
namespace {

std::string percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "0 %";
  return std::to_string(static_cast<std::uint64_t>(100.0 * static_cast<double>(part) /
                                                   static_cast<double>(whole))) +
         " %";
}

std::string size_and_percent(std::uint64_t part, std::uint64_t whole, std::uint64_t unit) {
  return format_size(part * unit) + " (" + percent(part, whole) + ")";
}

std::string duration(std::uint64_t ms) {
  const std::uint64_t seconds = ms / 1000;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%llu d %02llu:%02llu:%02llu",
                static_cast<unsigned long long>(seconds / 86400),
                static_cast<unsigned long long>(seconds / 3600 % 24),
                static_cast<unsigned long long>(seconds / 60 % 60),
                static_cast<unsigned long long>(seconds % 60));
  return text.data();
}

std::uint64_t chunks_of(const Admin::SnapshotList& list) {
  if (list.chunk_size == 0) return 0;
  return (list.volume_size + list.chunk_size - 1) / list.chunk_size;
}

// Lines "name   value", the values under one another.
class Facts {
 public:
  void add(const std::string& name, const std::string& value) {
    std::array<char, 32> padded{};
    std::snprintf(padded.data(), padded.size(), "%-12s", name.c_str());
    text_ += padded.data() + (" " + value) + "\n";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

std::string number(std::uint64_t n) {
  return std::to_string(n);
}

}  // namespace

std::string format_time(std::uint64_t ns_since_1970) {
  const auto seconds = static_cast<std::time_t>(ns_since_1970 / 1'000'000'000);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return text.data();
}

SnapshotNames::SnapshotNames(const Admin::SnapshotList& list) {
  for (const auto& entry : list.snapshots) {
    by_id_[entry.id] = entry.name;
    by_bit_[entry.bit] = entry.name;
  }
}

std::string SnapshotNames::of_id(std::uint64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? "#" + number(id) : found->second;
}

std::vector<std::string> SnapshotNames::of_mask(std::uint64_t mask) const {
  std::vector<std::string> names;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((mask >> bit & 1) == 0) continue;
    const auto found = by_bit_.find(bit);
    names.push_back(found == by_bit_.end() ? "bit " + number(bit) : found->second);
  }
  return names;
}

std::string list_text(const Admin::SnapshotList& list) {
  if (list.snapshots.empty()) return "no snapshots\n";
  Table table({{"NAME"}, {"ID", true}, {"CREATED"}, {"CLIENTS", true}, {"STATE"}});
  for (const auto& entry : list.snapshots) {
    table.row(
        {entry.name, number(entry.id), format_time(entry.created_ns), number(entry.clients),
         entry.deleting ? "deleting, " + percent(entry.deleted_up_to, chunks_of(list)) : "live"});
  }
  return table.text();
}

std::string status_text(const Admin::StoreStatus& status, const Admin::SnapshotList& list,
                        std::uint64_t now_ns) {
  Facts facts;
  facts.add("store id",
            status.store.to_string() + (status.label.empty() ? "" : " \"" + status.label + "\""));
  facts.add("holder", status.server_name);
  facts.add("epoch", number(status.epoch));
  facts.add("up", duration(status.uptime_ms));
  if (status.failed) facts.add("FAILED", status.failure);
  for (const auto& device : status.devices) {
    facts.add(device.role, device.path + ", " + format_size(device.size));
  }
  facts.add("chunk size", format_size(status.chunk_size));
  facts.add("space",
            format_size(status.store_chunks * status.chunk_size) + ", free " +
                size_and_percent(status.free_chunks, status.store_chunks, status.chunk_size));
  facts.add("exceptions", format_size(status.exception_chunks * status.chunk_size) + " in " +
                              number(status.exception_chunks) + " chunks; index " +
                              number(status.tree_blocks) + " blocks, " +
                              number(status.tree_levels) + " levels");
  if (status.held_chunks != 0) {
    facts.add("held back", format_size(status.held_chunks * status.chunk_size) +
                               ", free when readers and the disk are done");
  }
  facts.add("snapshots",
            number(status.snapshots) + " of 64, " + number(status.deleting) + " being deleted");
  for (const auto& entry : list.snapshots) {
    if (!entry.deleting) continue;
    facts.add("deleting", entry.name + ", " + percent(entry.deleted_up_to, chunks_of(list)));
  }
  for (const auto& [name, value] : replication_facts(status, list, now_ns)) facts.add(name, value);
  facts.add("clients", number(status.clients) + ", connections " + number(status.connections));
  facts.add("journal",
            format_size(status.journal_blocks * 4096) + ", in use " +
                size_and_percent(status.journal_live_blocks, status.journal_blocks, 4096));
  facts.add("cache", format_size(status.cache_capacity * 4096) + ", in use " +
                         size_and_percent(status.cache_blocks, status.cache_capacity, 4096) +
                         ", dirty " + format_size(status.dirty_blocks * 4096) + ", hits " +
                         percent(status.cache_hits, status.cache_hits + status.cache_misses));
  facts.add("served", number(status.origin_writes) + " origin writes, " +
                          number(status.snapshot_reads) + " snapshot reads, " +
                          number(status.snapshot_writes) + " snapshot writes");
  facts.add("done", number(status.copied_chunks) + " chunks copied, " +
                        number(status.copied_by_clients) + " by clients, " +
                        number(status.commits) + " commits, " + number(status.checkpoints) +
                        " checkpoints");
  return facts.text();
}

std::string locks_text(const std::vector<Admin::LockEntry>& locks, const SnapshotNames& names) {
  if (locks.empty()) return "no locks\n";
  Table table({{"CHUNK", true}, {"COUNT", true}, {"SNAPSHOT"}, {"WAITING", true}, {"CLIENT"}});
  for (const auto& lock : locks) {
    table.row({number(lock.start), number(lock.count), names.of_id(lock.volume),
               number(lock.waiting_writers), lock.client.to_string()});
  }
  return table.text();
}

std::string exceptions_title() {
  return "       CHUNK  COUNT  STORE CHUNK  SNAPSHOTS\n";
}

std::string exception_text(const Admin::ExceptionLine& line, const SnapshotNames& names) {
  const bool lost = is_lost(StoreChunk(line.store_chunk));
  std::array<char, 96> numbers{};
  std::snprintf(numbers.data(), numbers.size(), "%12llu  %5llu  %11s ",
                static_cast<unsigned long long>(line.start),
                static_cast<unsigned long long>(line.count),
                lost ? "lost" : number(line.store_chunk).c_str());
  std::string text = numbers.data();
  for (const auto& name : names.of_mask(line.mask)) text += " " + name;
  return text + "\n";
}

void CheckResult::add(const Admin::CheckPage& page) {
  for (const auto& finding : page.findings) {
    damages += finding.damage;
    if (findings.size() < kMost) findings.push_back(finding);
  }
  damages += page.dropped;
  last = page;
}

std::string check_text(const CheckResult& result, bool data, const SnapshotNames& names) {
  std::string text;
  for (const auto& finding : result.findings) {
    text += (finding.damage ? "damage: " : "leak: ") + finding.what + '\n';
    if (finding.count == 0) continue;
    text += finding.count == 1 ? "  chunk " + number(finding.start)
                               : "  chunks " + number(finding.start) + " to " +
                                     number(finding.start + finding.count - 1);
    text += " of";
    for (const auto& name : names.of_mask(finding.mask)) text += " " + name;
    text += '\n';
  }
  if (result.damages > result.findings.size())
    text += "... " + number(result.damages) + " in all\n";
  text += "checked " + number(result.last.blocks) + " metadata blocks and " +
          number(result.last.exceptions) + " exceptions" +
          (data ? ", the data of " + number(result.last.data_chunks) + " chunks" : "") +
          (result.last.lost > 0
               ? "; " + number(result.last.lost) + " chunks are lost since an earlier repair"
               : "") +
          (result.damages == 0 ? ": no damage\n" : "\n");
  return text;
}

}  // namespace csnap
