// SPDX-License-Identifier: Apache-2.0
// Records as people read them in logs and dumps.
#include <cstdio>

#include "journal/records.h"

namespace csnap {
namespace {

std::string hex(ShareMask mask) {
  char text[2 + 16 + 1];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(mask));
  return text;
}

// "7" or "7..9", both ends included.
std::string range(std::uint64_t start, std::uint64_t count) {
  std::string text = std::to_string(start);
  if (count > 1) text += ".." + std::to_string(start + count - 1);
  return text;
}

std::string text_of(const ExceptionAdded& r) {
  return "exception added: chunks " + range(r.chunk.value, r.crcs.size()) + " at store chunks " +
         range(r.store.value, r.crcs.size()) + ", mask " + hex(r.mask);
}
std::string text_of(const SharesCleared& r) {
  return "shares cleared: chunks " + range(r.chunks.start.value, r.chunks.count) + ", bits " +
         hex(r.bits);
}
std::string text_of(const DataMutable& r) {
  return "data mutable: store chunks " + range(r.run.start.value, r.run.count);
}
std::string text_of(const SnapshotCreated& r) {
  return "snapshot created: id " + std::to_string(r.id.value) + " \"" + r.name + "\" " +
         r.uuid.to_string() + ", bit " + std::to_string(r.bit) + ", at " +
         std::to_string(r.created) + " ns";
}
std::string text_of(const SnapshotRenamed& r) {
  return "snapshot renamed: id " + std::to_string(r.id.value) + " to \"" + r.name + "\"";
}
std::string text_of(const SnapshotDeleted& r) {
  return "snapshot deleted: id " + std::to_string(r.id.value);
}
std::string text_of(const DeletionProgress& r) {
  return "deletion progress: id " + std::to_string(r.id.value) + ", chunks " +
         range(r.chunks.start.value, r.chunks.count);
}
std::string text_of(const DeletionFinished& r) {
  return "deletion finished: id " + std::to_string(r.id.value);
}
std::string text_of(const ClientOpened& r) {
  return "client opened: " + r.id.to_string() + " on " +
         (r.volume == kOrigin ? "the origin" : "snapshot id " + std::to_string(r.volume.value));
}
std::string text_of(const ClientClosed& r) {
  return "client closed: " + r.id.to_string();
}
std::string text_of(const ClientPool& r) {
  const std::string pool =
      "client pool: " + r.id.to_string() + " slot " + std::to_string(r.slot) + ", ";
  if (r.run.count == 0) return pool + "given back";
  return pool + "store chunks " + range(r.run.start.value, r.run.count);
}
std::string text_of(const ServerStarted& r) {
  return "server started: epoch " + std::to_string(r.epoch.value);
}
std::string text_of(const SnapshotWritten& r) {
  return "snapshot written to: id " + std::to_string(r.id.value);
}
std::string text_of(const SnapshotSealed& r) {
  return "snapshot sealed: id " + std::to_string(r.id.value) + ", transid " +
         std::to_string(r.transid);
}
std::string text_of(const SnapshotReceived& r) {
  return "snapshot received: id " + std::to_string(r.id.value) + " as " +
         r.received.identity.to_string();
}
std::string text_of(const ReplicationChanged& r) {
  const auto& receiving = r.replication.receiving;
  return "replication changed: role " + std::to_string(static_cast<unsigned>(r.replication.role)) +
         ", " + std::to_string(r.replication.replicas.size()) + " replicas, " +
         (receiving
              ? "receiving \"" + receiving->name + "\" up to " + std::to_string(receiving->offset)
              : std::string("receiving nothing"));
}

}  // namespace

std::string to_string(const Record& record) {
  return std::visit([](const auto& r) { return text_of(r); }, record);
}

}  // namespace csnap
