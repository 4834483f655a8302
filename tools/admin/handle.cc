// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/handle.h"

#include <iostream>
#include <string>

#include "tools/common/handle.h"
#include "tools/common/json.h"

namespace csnap {
namespace {

constexpr const char* kOriginName = "origin";

boost::json::object handle_json(const VolumeHandle& handle, const std::string& name) {
  return {{"handle", to_string(handle)},
          {"store", handle.store.to_string()},
          {"id", std::to_string(handle.id)},
          {"name", name}};
}

void say_handle(const AdminCommandLine& line, const VolumeHandle& handle, const std::string& name,
                const std::string& text) {
  std::cout << (line.json ? to_json_text(handle_json(handle, name)) : text + "\n");
}

}  // namespace

Status tell_handle(Admin& admin, const AdminCommandLine& line) {
  const std::string& name = line.names[0];
  CSNAP_ASSIGN(const auto list, admin.list());
  VolumeHandle handle{list.store, 0};
  bool found = name == kOriginName;
  for (const auto& snapshot : list.snapshots) {
    if (snapshot.deleting || snapshot.name != name) continue;
    handle.id = snapshot.id;
    found = true;
  }
  if (!found) return Status(Code::not_found, "there is no snapshot named '" + name + "'");
  say_handle(line, handle, name, to_string(handle));
  return {};
}

Status resolve_handle(Admin& admin, const AdminCommandLine& line) {
  CSNAP_ASSIGN(const VolumeHandle handle, parse_handle(line.names[0]));
  CSNAP_ASSIGN(const auto list, admin.list());
  if (handle.store != list.store)
    return Status(Code::not_found, "the handle is of store " + handle.store.to_string() +
                                       ", and this server has store " + list.store.to_string());
  if (handle.id == 0) {
    say_handle(line, handle, kOriginName, kOriginName);
    return {};
  }
  for (const auto& snapshot : list.snapshots) {
    if (snapshot.deleting || snapshot.id != handle.id) continue;
    say_handle(line, handle, snapshot.name, snapshot.name);
    return {};
  }
  return Status(Code::stale, "the handle is stale: snapshot " + std::to_string(handle.id) +
                                 " was deleted; no other will ever have this handle");
}

}  // namespace csnap
