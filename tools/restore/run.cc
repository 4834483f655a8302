// SPDX-License-Identifier: Apache-2.0
#include "tools/restore/run.h"

#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "store/device_identity.h"
#include "store/open_device.h"
#include "store/pack_device.h"
#include "tools/common/json.h"
#include "tools/common/progress.h"
#include "tools/mkstore/signatures.h"
#include "tools/restore/file_input.h"

namespace csnap {
namespace {

struct Opened {
  DeviceLock lock;
  std::unique_ptr<Device> device;
};

// Locked, so that no server begins to use it. Other signatures than ours are left where they are:
// they may be bytes of the data of a snapshot.
Result<Opened> open_target(const std::string& path, bool force) {
  CSNAP_ASSIGN(const bool pack, PackFile::is_pack(path));
  if (pack)
    return Status(Code::invalid, path +
                                     " is a pack of csnap-dump, not a store; what it says is "
                                     "restored from its text: csnap-dump " +
                                     path + " | csnap-restore STORE");
  CSNAP_ASSIGN(DeviceLock lock, lock_device(path));
  CSNAP_ASSIGN(auto device, open_device(path, OpenMode::read_write));
  if (const auto found = read_superblock(*device); found.ok())
    CSNAP_TRY(refuse_copy(*found, *device));
  CSNAP_ASSIGN(const auto content, find_content(path, *device));
  if (content && !force)
    return Status(Code::exists, path + " holds " + *content +
                                    "; use --force to overwrite its metadata with the dump's");
  return Opened{std::move(lock), std::move(device)};
}

std::string holder() {
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return "csnap-restore, pid " + std::to_string(::getpid()) + " on " + host;
}

}  // namespace

Result<Restored> run_restore(const RestoreToolOptions& options) {
  if (!options.input.empty()) {
    CSNAP_ASSIGN(const bool pack, PackFile::is_pack(options.input));
    if (pack)
      return Status(Code::invalid, options.input +
                                       " is a pack; what is restored is its text: csnap-dump " +
                                       options.input + " | csnap-restore STORE");
  }
  CSNAP_ASSIGN(const auto input, FileInput::open(options.input));
  CSNAP_ASSIGN(const Opened store, open_target(options.store, options.force));
  std::unique_ptr<Opened> metadata;
  if (!options.metadata.empty()) {
    CSNAP_ASSIGN(Opened opened, open_target(options.metadata, options.force));
    metadata = std::make_unique<Opened>(std::move(opened));
  }
  RestoreOptions restore;
  restore.holder = holder();
  restore.wall_ns = static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count());
  const bool shown = options.progress || is_terminal(STDERR_FILENO);
  std::string what;
  std::optional<Progress> line;
  restore.progress = [&](const char* part, std::uint64_t done, std::uint64_t total) {
    if (what != part) {
      what = part;
      line.emplace("restoring: " + what, shown);
    }
    line->update(total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total));
  };
  return restore_store(*store.device, metadata ? metadata->device.get() : nullptr, *input, restore);
}

std::string restore_report_text(const RestoreToolOptions& options, const Restored& restored) {
  const DumpTotals& totals = restored.totals;
  std::string text = options.store + ": restored " + std::to_string(totals.snapshots) +
                     (totals.snapshots == 1 ? " snapshot, " : " snapshots, ") +
                     std::to_string(totals.chunks) + " chunks of data";
  if (totals.lost_chunks > 0) text += ", " + std::to_string(totals.lost_chunks) + " marked as lost";
  text += "\nWhether the data is still that of the dump, this tells: csnap-check --data " +
          (options.metadata.empty() ? "" : "--metadata " + options.metadata + " ") + options.store +
          "\n";
  return text;
}

std::string restore_report_json(const RestoreToolOptions& options, const Restored& restored) {
  boost::json::object out;
  out["store"] = options.store;
  out["metadata"] =
      options.metadata.empty() ? boost::json::value(nullptr) : boost::json::value(options.metadata);
  out["uuid"] = restored.superblock.uuid.to_string();
  out["label"] = restored.superblock.label;
  out["epoch"] = restored.superblock.epoch.value;
  out["snapshots"] = restored.totals.snapshots;
  out["sessions"] = restored.totals.sessions;
  out["exceptions"] = restored.totals.chunks;
  out["lost_chunks"] = restored.totals.lost_chunks;
  return to_json_text(out);
}

}  // namespace csnap
