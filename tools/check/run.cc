// SPDX-License-Identifier: Apache-2.0
#include "tools/check/run.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/metadata_blocks.h"
#include "store/pack_device.h"
#include "tools/check/copy_device.h"
#include "tools/check/devices.h"
#include "tools/common/output_file.h"
#include "tools/common/progress.h"

namespace csnap {
namespace {

// Each part of a check with a line of its own.
class Parts {
 public:
  explicit Parts(bool shown) : shown_(shown) {}
  void at(const std::string& what, std::uint64_t done, std::uint64_t total) {
    if (what != what_) {
      what_ = what;
      line_.emplace("checking " + what, shown_);
    }
    line_->update(total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total));
  }

 private:
  const bool shown_;
  std::string what_;
  std::optional<Progress> line_;
};

CheckOptions check_options(const CheckToolOptions& options, Parts& parts) {
  CheckOptions check;
  check.data = options.data;
  check.progress = [&parts](const char* what, std::uint64_t done, std::uint64_t total) {
    parts.at(what, done, total);
  };
  return check;
}

std::string holder() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return "csnap-check, pid " + std::to_string(::getpid()) + " on " + host.data();
}

// Everything but the data label, which is on the store and stays as it is.
bool metadata_is_sound(const CheckReport& report) {
  return report.complete &&
         std::all_of(report.findings.begin(), report.findings.end(), [](const Finding& finding) {
           return finding.severity != Severity::damage || finding.area == CheckArea::data_label;
         });
}

Result<RepairOutcome> repair_copy(const CheckToolOptions& options, const StoreDevices& devices,
                                  const RepairOptions& repair) {
  Device& store = *devices.store->device;
  Device& metadata = devices.separate() ? *devices.separate() : store;
  OutputRules rules{{options.store}};
  if (!options.metadata.empty()) rules.inputs.push_back(options.metadata);
  CSNAP_ASSIGN(OutputFile file,
               OutputFile::create_metadata(options.to, metadata.size(), rules, options.force));
  CSNAP_ASSIGN(const auto target, open_device(file.temporary(), OpenMode::read_write));
  CopyDevice copy(metadata, *target);
  RepairOutcome outcome;
  CSNAP_ASSIGN(outcome.report, devices.separate() ? repair_store(store, &copy, repair)
                                                  : repair_store(copy, nullptr, repair));
  if (!metadata_is_sound(outcome.report.after)) return outcome;
  CSNAP_ASSIGN(const auto runs, metadata_blocks(devices.separate() ? store : copy, copy));
  for (const BlockRun& run : runs) CSNAP_TRY(copy.copy_up(run));
  CSNAP_TRY(file.finish());
  outcome.written = true;
  return outcome;
}

// A pack of csnap-dump, instead of the store it was made of.
Result<CheckReport> check_pack(const CheckToolOptions& options) {
  if (!options.metadata.empty())
    return Status(Code::invalid, options.store + " is a pack; it has all the metadata there is");
  if (options.data)
    return Status(Code::invalid, options.store + " is a pack; it has no data to be compared");
  CSNAP_ASSIGN(const PackFile file, PackFile::open(options.store));
  const auto store = file.store(), metadata = file.metadata();
  Parts parts(options.progress || is_terminal(STDERR_FILENO));
  CheckOptions check = check_options(options, parts);
  check.has_data = false;
  return check_store(*store, metadata.get(), check);
}

}  // namespace

Result<CheckReport> run_check(const CheckToolOptions& options) {
  CSNAP_ASSIGN(const bool pack, PackFile::is_pack(options.store));
  if (pack) return check_pack(options);
  CSNAP_ASSIGN(const StoreDevices devices, open_devices(options, OpenMode::inspect));
  Parts parts(options.progress || is_terminal(STDERR_FILENO));
  return check_store(*devices.store->device, devices.separate(), check_options(options, parts));
}

Result<RepairOutcome> run_repair(const CheckToolOptions& options) {
  CSNAP_ASSIGN(const bool pack, PackFile::is_pack(options.store));
  if (pack)
    return Status(Code::invalid, options.store +
                                     " is a pack of csnap-dump: it can be checked, but only the "
                                     "store it was made of can be repaired");
  Parts parts(options.progress || is_terminal(STDERR_FILENO));
  RepairOptions repair;
  repair.check = check_options(options, parts);
  repair.holder = holder();
  repair.copy = !options.to.empty();
  auto devices = open_devices(options, repair.copy ? OpenMode::inspect : OpenMode::read_write);
  if (devices.ok() && repair.copy) {
    auto outcome = repair_copy(options, *devices, repair);
    return outcome.ok() ? std::move(outcome)
                        : outcome.status().with_context(options.to + " was not written");
  }
  RepairOutcome outcome;
  if (devices.ok()) {
    CSNAP_ASSIGN(outcome.report,
                 repair_store(*devices->store->device, devices->separate(), repair));
    return outcome;
  }
  if (devices.status().code() != Code::invalid) return devices.status();
  // A file that was cut off within a sector cannot be written to. It can be looked at.
  const auto look = run_check(options);
  if (!look.ok()) return look.status();
  if (look->complete) return devices.status();
  outcome.report.before = outcome.report.after = *look;
  return outcome;
}

}  // namespace csnap
