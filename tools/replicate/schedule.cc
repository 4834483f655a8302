// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/schedule.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "store/tables.h"

namespace csnap {
namespace {

using std::chrono::seconds;

constexpr seconds kLongest{365 * 86400};
constexpr const char* kPattern = "00000000T000000Z";  // 0: any digit
constexpr std::size_t kPatternSize = 16;
constexpr std::size_t kNumberSize = 3;  // "-99"
constexpr unsigned kLastNumber = 99;
constexpr std::size_t kMaxPrefix = kMaxSnapshotName - kPatternSize - kNumberSize;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// A number is not used before a later one is gone: the name may be there still at the other server.
bool taken(const Admin::SnapshotList& list, const std::string& name) {
  return std::ranges::any_of(list.snapshots,
                             [&](const auto& entry) { return entry.name.starts_with(name); });
}

}  // namespace

Result<seconds> parse_period(const std::string& text) {
  const Status wrong(Code::invalid,
                     "a time is a number and s, m, h or d, such as 15m; from 1s to "
                     "365d");
  if (text.size() < 2) return wrong;
  std::int64_t unit = 0;
  if (text.back() == 's') unit = 1;
  if (text.back() == 'm') unit = 60;
  if (text.back() == 'h') unit = 3600;
  if (text.back() == 'd') unit = 86400;
  std::int64_t count = 0;
  const char* const end = text.data() + text.size() - 1;
  const auto [stop, failed] = std::from_chars(text.data(), end, count);
  if (unit == 0 || failed != std::errc() || stop != end || count < 1 ||
      count > kLongest.count() / unit)
    return wrong;
  return seconds(count * unit);
}

std::string format_period(seconds period) {
  const auto n = period.count();
  const auto two = [](std::int64_t large, const char* name, std::int64_t small,
                      const char* small_name) {
    std::string text = std::to_string(large) + " " + name;
    if (small != 0) text += " " + std::to_string(small) + " " + small_name;
    return text;
  };
  if (n < 60) return std::to_string(n) + " s";
  if (n < 3600) return two(n / 60, "min", n % 60, "s");
  if (n < 86400) return two(n / 3600, "h", n / 60 % 60, "min");
  return two(n / 86400, "d", n / 3600 % 24, "h");
}

Status check_prefix(const std::string& prefix) {
  if (prefix.size() > kMaxPrefix)
    return Status(Code::invalid, "it has " + std::to_string(kMaxPrefix) +
                                     " bytes at most, for the time follows it in names");
  return check_snapshot_name(prefix + kPattern);
}

std::string scheduled_name(const std::string& prefix, std::uint64_t ns_since_1970,
                           const Admin::SnapshotList& there) {
  const auto now = static_cast<std::time_t>(ns_since_1970 / 1'000'000'000);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> time{};
  std::strftime(time.data(), time.size(), "%Y%m%dT%H%M%SZ", &utc);
  const std::string first = prefix + time.data();
  std::string name = first;
  for (unsigned number = 2; taken(there, name) && number <= kLastNumber; ++number)
    name = first + "-" + std::to_string(number);
  return name;
}

bool is_scheduled_name(const std::string& prefix, const std::string& name) {
  if (!name.starts_with(prefix)) return false;
  const std::string rest = name.substr(prefix.size());
  if (rest.size() < kPatternSize) return false;
  for (std::size_t i = 0; i < kPatternSize; ++i)
    if (kPattern[i] == '0' ? !is_digit(rest[i]) : rest[i] != kPattern[i]) return false;
  const std::string number = rest.substr(kPatternSize);
  if (number.empty()) return true;
  return number.size() >= 2 && number.size() <= kNumberSize && number[0] == '-' &&
         std::all_of(number.begin() + 1, number.end(), is_digit);
}

std::vector<std::string> outdated(const Admin::SnapshotList& list, const std::string& prefix,
                                  std::size_t keep, const std::set<std::uint64_t>& needed) {
  std::vector<const Admin::SnapshotEntry*> ours;
  for (const auto& entry : list.snapshots)
    if (!entry.deleting && is_scheduled_name(prefix, entry.name)) ours.push_back(&entry);
  std::ranges::sort(ours, {}, &Admin::SnapshotEntry::id);
  ours.resize(ours.size() - std::min(ours.size(), keep));
  std::vector<std::string> names;
  for (const auto* entry : ours)
    if (!needed.contains(entry->id)) names.push_back(entry->name);
  return names;
}

std::set<std::uint64_t> needed_for_streams(const Replication& replication,
                                           const Admin::SnapshotList& list, const std::string& to) {
  std::set<std::uint64_t> ids;
  const auto add_first_after = [&](std::uint64_t id) {
    const auto found = std::ranges::find_if(
        list.snapshots, [&](const auto& entry) { return !entry.deleting && entry.id > id; });
    if (found != list.snapshots.end()) ids.insert(found->id);
  };
  bool known = to.empty();
  for (const Replica& replica : replication.replicas) {
    ids.insert(replica.snapshot.value);
    add_first_after(replica.snapshot.value);
    known |= replica.address == to;
  }
  if (!known) add_first_after(0);
  if (replication.receiving) ids.insert(replication.receiving->parent_id.value);
  return ids;
}

std::chrono::nanoseconds until_due(const Admin::SnapshotList& list, const std::string& prefix,
                                   seconds every, std::uint64_t now_ns) {
  using std::chrono::nanoseconds;
  const auto names = outdated(list, prefix, 0, {});
  if (names.empty()) return nanoseconds(0);
  const auto last = std::ranges::find_if(list.snapshots, [&](const auto& entry) {
    return !entry.deleting && entry.name == names.back();
  });
  const nanoseconds age(static_cast<std::int64_t>(now_ns - last->created_ns));
  return std::clamp<nanoseconds>(every - age, nanoseconds(0), every);
}

seconds pause_after(unsigned failures) {
  constexpr seconds kMost{60};
  return failures > 6 ? kMost : std::min(kMost, seconds(1u << (failures - (failures > 0 ? 1 : 0))));
}

}  // namespace csnap
