// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <boost/json/array.hpp>
#include <cstdio>
#include <utility>

#include "store/types.h"
#include "tools/admin/replication_report.h"
#include "tools/admin/report.h"

namespace csnap {
namespace {

namespace json = boost::json;

std::uint64_t chunks_of(const Admin::SnapshotList& list) {
  if (list.chunk_size == 0) return 0;
  return (list.volume_size + list.chunk_size - 1) / list.chunk_size;
}

json::array names_json(const std::vector<std::string>& names) {
  json::array array;
  for (const auto& name : names) array.emplace_back(name);
  return array;
}

json::array snapshots_json(const Admin::SnapshotList& list, bool only_deleting) {
  json::array array;
  for (const auto& entry : list.snapshots) {
    if (only_deleting && !entry.deleting) continue;
    array.emplace_back(snapshot_json(entry, chunks_of(list)));
  }
  return array;
}

}  // namespace

json::object snapshot_json(const Admin::SnapshotEntry& entry, std::uint64_t volume_chunks) {
  json::object object{{"name", entry.name},
                      {"id", std::to_string(entry.id)},
                      {"uuid", entry.uuid.to_string()},
                      {"created_ns", entry.created_ns},
                      {"clients", entry.clients},
                      {"state", entry.deleting ? "deleting" : "live"}};
  object["transid"] = std::to_string(entry.transid);
  object["written"] = entry.written;
  if (entry.received)
    object["received"] = {{"uuid", entry.received->uuid.to_string()},
                          {"transid", std::to_string(entry.received->ctransid)}};
  if (entry.deleting) {
    object["deleted_chunks"] = entry.deleted_up_to;
    object["volume_chunks"] = volume_chunks;
  }
  return object;
}

json::object list_json(const Admin::SnapshotList& list) {
  return {{"store", list.store.to_string()},
          {"volume_size", list.volume_size},
          {"chunk_size", list.chunk_size},
          {"snapshots", snapshots_json(list, false)}};
}

json::object status_json(const Admin::StoreStatus& status, const Admin::SnapshotList& list,
                         std::uint64_t now_ns) {
  json::array devices;
  for (const auto& device : status.devices) {
    devices.emplace_back(
        json::object{{"role", device.role}, {"path", device.path}, {"size", device.size}});
  }
  const auto bytes = [&](std::uint64_t chunks) { return chunks * status.chunk_size; };
  return {
      {"store", {{"uuid", status.store.to_string()}, {"label", status.label}}},
      {"epoch", status.epoch},
      {"chunk_size", status.chunk_size},
      {"origin_size", status.origin_size},
      {"separate_metadata", status.separate_metadata},
      {"devices", std::move(devices)},
      {"server",
       {{"name", status.server_name},
        {"incarnation", status.incarnation.to_string()},
        {"uptime_ms", status.uptime_ms},
        {"failed", status.failed},
        {"failure", status.failure}}},
      {"space",
       {{"size", bytes(status.store_chunks)},
        {"free", bytes(status.free_chunks)},
        {"held", bytes(status.held_chunks)},
        {"exceptions", bytes(status.exception_chunks)}}},
      {"tree", {{"blocks", status.tree_blocks}, {"levels", status.tree_levels}}},
      {"snapshots", status.snapshots},
      {"deleting", snapshots_json(list, true)},
      {"replication", replication_json(status, list, now_ns)},
      {"clients", status.clients},
      {"connections", status.connections},
      {"journal",
       {{"size", status.journal_blocks * 4096}, {"live", status.journal_live_blocks * 4096}}},
      {"cache",
       {{"size", status.cache_capacity * 4096},
        {"used", status.cache_blocks * 4096},
        {"dirty", status.dirty_blocks * 4096},
        {"hits", status.cache_hits},
        {"misses", status.cache_misses}}},
      {"since_start",
       {{"origin_writes", status.origin_writes},
        {"snapshot_reads", status.snapshot_reads},
        {"snapshot_writes", status.snapshot_writes},
        {"copied_chunks", status.copied_chunks},
        {"copied_by_clients", status.copied_by_clients},
        {"commits", status.commits},
        {"checkpoints", status.checkpoints}}},
  };
}

json::object locks_json(const std::vector<Admin::LockEntry>& locks, const SnapshotNames& names) {
  json::array array;
  for (const auto& lock : locks) {
    array.emplace_back(json::object{{"chunk", lock.start},
                                    {"count", lock.count},
                                    {"snapshot", names.of_id(lock.volume)},
                                    {"snapshot_id", lock.volume},
                                    {"client", lock.client.to_string()},
                                    {"read_id", lock.read_id},
                                    {"waiting_writers", lock.waiting_writers}});
  }
  return {{"locks", std::move(array)}};
}

json::object exception_json(const Admin::ExceptionLine& line, const SnapshotNames& names) {
  std::array<char, 24> mask{};
  std::snprintf(mask.data(), mask.size(), "%016llx", static_cast<unsigned long long>(line.mask));
  json::object object{{"chunk", line.start},
                      {"count", line.count},
                      {"mask", mask.data()},
                      {"snapshots", names_json(names.of_mask(line.mask))}};
  if (is_lost(StoreChunk(line.store_chunk)))
    object["lost"] = true;
  else
    object["store_chunk"] = line.store_chunk;
  return object;
}

json::object check_json(const CheckResult& result, bool data, const SnapshotNames& names) {
  json::array findings;
  for (const auto& finding : result.findings) {
    json::object object{{"severity", finding.damage ? "damage" : "leak"}, {"what", finding.what}};
    if (finding.count > 0) {
      object["chunk"] = finding.start;
      object["count"] = finding.count;
      object["snapshots"] = names_json(names.of_mask(finding.mask));
    }
    findings.push_back(std::move(object));
  }
  return {{"clean", result.damages == 0},          {"damages", result.damages},
          {"findings", std::move(findings)},       {"metadata_blocks", result.last.blocks},
          {"exceptions", result.last.exceptions},  {"lost_chunks", result.last.lost},
          {"leaked_blocks", result.last.leaked},   {"data_checked", data},
          {"data_chunks", result.last.data_chunks}};
}

json::object error_json(const Status& status) {
  return {{"error", {{"code", code_name(status.code())}, {"message", status.message()}}}};
}

}  // namespace csnap
