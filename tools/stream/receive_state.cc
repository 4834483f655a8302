// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/receive_state.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "store/errno_status.h"
#include "tools/common/json.h"
#include "tools/common/output_file.h"

namespace csnap {
namespace {

namespace json = boost::json;

constexpr std::uintmax_t kMostStateBytes = 1u << 20;
constexpr int kFormat = 1;

json::object identity_json(const StreamIdentity& identity) {
  return {{"uuid", identity.uuid.to_string()}, {"ctransid", std::to_string(identity.ctransid)}};
}

// Numbers are strings, as everywhere in our JSON where they may need 64 bits.
std::uint64_t number_of(const json::value& value) {
  const std::string text(value.as_string());
  std::size_t used = 0;
  const std::uint64_t number = std::stoull(text, &used);
  if (used != text.size()) throw std::invalid_argument("no number");
  return number;
}

Uuid uuid_of(const json::value& value) {
  const auto uuid = Uuid::parse(std::string_view(value.as_string()));
  if (!uuid.ok()) throw std::invalid_argument("no UUID");
  return *uuid;
}

StreamIdentity identity_in(const json::value& value) {
  return {uuid_of(value.at("uuid")), number_of(value.at("ctransid"))};
}

std::string text_of(const json::value& value) {
  return std::string(value.as_string());
}

json::object unfinished_json(const UnfinishedReceive& u) {
  json::object object{{"name", u.name},
                      {"identity", identity_json(u.identity)},
                      {"parent_id", std::to_string(u.parent_id)},
                      {"path", u.path},
                      {"offset", std::to_string(u.offset)},
                      {"resumable", u.resumable}};
  if (u.parent) object["parent"] = identity_json(*u.parent);
  if (u.making) object["making"] = std::to_string(*u.making);
  return object;
}

UnfinishedReceive unfinished_of(const json::value& value) {
  const auto& object = value.as_object();
  UnfinishedReceive u;
  u.name = text_of(object.at("name"));
  u.identity = identity_in(object.at("identity"));
  u.parent_id = number_of(object.at("parent_id"));
  u.path = text_of(object.at("path"));
  u.offset = number_of(object.at("offset"));
  u.resumable = object.at("resumable").as_bool();
  if (const auto* parent = object.if_contains("parent")) u.parent = identity_in(*parent);
  if (const auto* making = object.if_contains("making")) u.making = number_of(*making);
  return u;
}

Result<std::string> read_whole(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::string();
  if (std::filesystem::file_size(path, error) > kMostStateBytes || error)
    return Status(Code::corrupt, path + " is no state of a receiver");
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file.good()) return Status(Code::io_error, path + " cannot be read");
  return text.str();
}

}  // namespace

std::string ReceiveState::default_path(const Uuid& store) {
  return "/var/lib/csnap/receive-" + store.to_string() + ".json";
}

ReceiveState::ReceiveState(ReceiveState&& other) noexcept
    : received(std::move(other.received)),
      unfinished(std::move(other.unfinished)),
      path_(std::move(other.path_)),
      store_(other.store_),
      lock_(std::exchange(other.lock_, -1)) {}

ReceiveState::~ReceiveState() {
  if (lock_ >= 0) ::close(lock_);
}

Result<ReceiveState> ReceiveState::open(const std::string& path, const Uuid& store) {
  // The file itself is replaced each time, so it cannot be what is locked.
  const std::string lock_path = path + ".lock";
  const int fd = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return errno_status(errno, lock_path + ": cannot be made; say with --state where it may be");
  ReceiveState state(path, store, fd);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
    return Status(Code::busy, "another receive is under way with " + path);
  CSNAP_ASSIGN(const std::string text, read_whole(path));
  if (!text.empty()) CSNAP_TRY(state.load(text));
  return state;
}

Status ReceiveState::load(const std::string& text) {
  try {
    const json::value document = json::parse(text);
    if (document.at("format").as_int64() != kFormat)
      return Status(Code::unsupported, path_ + " was written by another version of csnap-admin");
    if (uuid_of(document.at("store")) != store_)
      return Status(Code::invalid, path_ + " is of another store, " +
                                       text_of(document.at("store")) + "; this is " +
                                       store_.to_string());
    for (const auto& entry : document.at("received").as_array())
      received.push_back({number_of(entry.at("id")), uuid_of(entry.at("local_uuid")),
                          identity_in(entry.at("identity")), text_of(entry.at("path"))});
    if (const auto* u = document.as_object().if_contains("unfinished"))
      unfinished = unfinished_of(*u);
  } catch (const std::exception& error) {
    return Status(Code::corrupt, path_ + " is no state of a receiver: " + error.what());
  }
  return {};
}

Status ReceiveState::save() {
  json::array entries;
  for (const auto& r : received)
    entries.emplace_back(json::object{{"id", std::to_string(r.id)},
                                      {"local_uuid", r.uuid.to_string()},
                                      {"identity", identity_json(r.identity)},
                                      {"path", r.path}});
  json::object document{
      {"format", kFormat}, {"store", store_.to_string()}, {"received", std::move(entries)}};
  if (unfinished) document["unfinished"] = unfinished_json(*unfinished);
  CSNAP_ASSIGN(auto file, OutputFile::create(path_));
  CSNAP_TRY(file.write(to_json_text(document)));
  return file.finish();
}

Status ReceiveState::reconcile(const Admin::SnapshotList& list) {
  bool changed = false;
  if (unfinished && unfinished->making) {
    for (const auto& entry : list.snapshots) {
      if (entry.deleting || entry.name != unfinished->name || entry.id < *unfinished->making)
        continue;
      received.push_back({entry.id, entry.uuid, unfinished->identity, unfinished->path});
      unfinished.reset();
      break;
    }
    if (unfinished) unfinished->making.reset();
    changed = true;
  }
  changed = std::erase_if(received,
                          [&](const ReceivedSnapshot& r) {
                            return std::ranges::none_of(list.snapshots, [&](const auto& entry) {
                              return entry.id == r.id && entry.uuid == r.uuid && !entry.deleting;
                            });
                          }) > 0 ||
            changed;
  return changed ? save() : Status();
}

}  // namespace csnap
