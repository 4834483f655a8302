// SPDX-License-Identifier: Apache-2.0
#include "tools/dump/run.h"

#include <memory>
#include <string>
#include <utility>

#include "server/dump.h"
#include "store/device_identity.h"
#include "store/open_device.h"
#include "tools/common/output_file.h"

namespace csnap {
namespace {

struct Opened {
  DeviceLock lock;
  std::unique_ptr<Device> device;
};

// Locked, so that no server begins to change it meanwhile.
Result<Opened> open_locked(const std::string& path) {
  auto lock = lock_device(path);
  if (lock.status().code() == Code::busy)
    return Status(Code::busy, lock.status().message() +
                                  "; what a server has open is listed with: csnap-admin dump");
  if (!lock.ok()) return lock.status();
  CSNAP_ASSIGN(auto device, open_device(path, OpenMode::read_only));
  return Opened{std::move(*lock), std::move(device)};
}

}  // namespace

Status run_dump(const DumpToolOptions& options) {
  CSNAP_ASSIGN(const Opened store, open_locked(options.store));
  std::unique_ptr<Opened> metadata;
  if (!options.metadata.empty()) {
    CSNAP_ASSIGN(Opened opened, open_locked(options.metadata));
    metadata = std::make_unique<Opened>(std::move(opened));
  }
  CSNAP_ASSIGN(OutputFile output, OutputFile::create(options.output));
  CSNAP_TRY(dump_store(*store.device, metadata ? metadata->device.get() : nullptr, {},
                       [&](std::string_view lines) { return output.write(lines); })
                .status());
  return output.finish();
}

}  // namespace csnap
