// SPDX-License-Identifier: Apache-2.0
// What csnap-admin says, for people (..._text) and for scripts (..._json). Pure functions, but that
// times are told in the time zone of the machine.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/csnap.h"

namespace csnap {

// "2026-11-21 01:30:51", local time.
std::string format_time(std::uint64_t ns_since_1970);

// Names of snapshots, to tell ids and bits of share masks as.
class SnapshotNames {
 public:
  explicit SnapshotNames(const Admin::SnapshotList& list);
  // "#7" for one that is not there any more.
  std::string of_id(std::uint64_t id) const;
  // Of those on the bits of the mask, by bit; "bit 5" for one that is not there any more.
  std::vector<std::string> of_mask(std::uint64_t mask) const;

 private:
  std::map<std::uint64_t, std::string> by_id_;
  std::map<unsigned, std::string> by_bit_;
};

std::string list_text(const Admin::SnapshotList& list);
boost::json::object list_json(const Admin::SnapshotList& list);
boost::json::object snapshot_json(const Admin::SnapshotEntry& entry, std::uint64_t volume_chunks);

// now_ns: since 1970, what lags are told of.
std::string status_text(const Admin::StoreStatus& status, const Admin::SnapshotList& list,
                        std::uint64_t now_ns);
boost::json::object status_json(const Admin::StoreStatus& status, const Admin::SnapshotList& list,
                                std::uint64_t now_ns);

std::string locks_text(const std::vector<Admin::LockEntry>& locks, const SnapshotNames& names);
boost::json::object locks_json(const std::vector<Admin::LockEntry>& locks,
                               const SnapshotNames& names);

std::string exceptions_title();
std::string exception_text(const Admin::ExceptionLine& line, const SnapshotNames& names);
boost::json::object exception_json(const Admin::ExceptionLine& line, const SnapshotNames& names);

// What the steps of a check found.
struct CheckResult {
  void add(const Admin::CheckPage& page);
  static constexpr std::size_t kMost = 10'000;  // findings that are kept
  std::vector<Admin::CheckFinding> findings;
  std::uint64_t damages = 0;  // of all findings, those not kept included
  Admin::CheckPage last;
};
std::string check_text(const CheckResult& result, bool data, const SnapshotNames& names);
boost::json::object check_json(const CheckResult& result, bool data, const SnapshotNames& names);

boost::json::object error_json(const Status& status);

}  // namespace csnap
