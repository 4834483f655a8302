// SPDX-License-Identifier: Apache-2.0
// Comparing the volumes with the model, and the store with itself.
#include <memory>

#include "server/check.h"
#include "test/engine/rig.h"

namespace csnap {

void Rig::check_all() {
  for (std::uint64_t c = 0; c < options.origin_chunks; ++c)
    if (tag_at(*origin, c) != model_[kOrigin][c]) ++mismatches_;
  for (const auto& volume : model_) {
    const SnapshotId id = volume.first;
    if (id == kOrigin) continue;
    bool told = false;
    read_snapshot(id, {Chunk(0), options.origin_chunks}, [&](const Status& status) {
      require(status.ok(),
              "reading snapshot " + std::to_string(id.value) + ": " + status.to_string());
      told = true;
    });
    until([&] { return told; });
  }
}

std::string Rig::check_store() {
  MemoryDevice store_device(store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (metadata) metadata_device = std::make_unique<MemoryDevice>(metadata);
  CheckOptions check_options;
  check_options.data = true;
  const auto report = csnap::check_store(store_device, metadata_device.get(), check_options);
  if (!report.ok()) return "check: " + report.status().to_string();
  for (const Finding& finding : report->findings)
    if (finding.severity != Severity::note) return to_string(finding);
  return {};
}

}  // namespace csnap
