// SPDX-License-Identifier: Apache-2.0
// From the text of a dump to what it says. The text may be anything.
#include <boost/json.hpp>

#include "server/dump_layout.h"
#include "server/dump_text.h"
#include "store/replication_codec.h"

// g++ 12 thinks that the end of a variant reads the optional parts of alternatives it does not
// hold.
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace csnap {
namespace {

namespace json = boost::json;

Status bad(const std::string& what) {
  return Status(Code::corrupt, what);
}

// Hexadecimal in lower case, of exactly so many digits.
Result<std::uint64_t> parse_hex(std::string_view text, std::size_t digits) {
  if (text.size() != digits) return bad("a hexadecimal number must have all its digits");
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
      return bad("a hexadecimal number has other letters in it");
    value = value << 4 | static_cast<std::uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return value;
}

Result<std::uint64_t> to_number(const json::value& value) {
  if (const auto* n = value.if_uint64()) return *n;
  if (const auto* n = value.if_int64(); n && *n >= 0) return static_cast<std::uint64_t>(*n);
  return bad("it is not a whole number from 0 on");
}

std::string_view view(const json::string& text) {
  return {text.data(), text.size()};
}

// The members of a line. Each must be asked for: one that nobody knows is a mistake.
class Members {
 public:
  explicit Members(const json::object& object) : object_(object) {}

  bool has(const char* name) const { return object_.contains(name); }
  Result<const json::value*> find(const char* name) {
    const json::value* value = object_.if_contains(name);
    if (!value) return bad(std::string("\"") + name + "\" is missing");
    ++asked_;
    return value;
  }
  Status number(const char* name, std::uint64_t& out) {
    CSNAP_ASSIGN(const json::value* value, find(name));
    auto read = to_number(*value);
    if (!read.ok()) return read.status().with_context(std::string("\"") + name + "\"");
    out = *read;
    return {};
  }
  Status truth(const char* name, bool& out) {
    CSNAP_ASSIGN(const json::value* value, find(name));
    if (!value->is_bool()) return bad(std::string("\"") + name + "\" is neither true nor false");
    out = value->get_bool();
    return {};
  }
  Status text(const char* name, std::string& out) {
    CSNAP_ASSIGN(const json::value* value, find(name));
    if (!value->is_string()) return bad(std::string("\"") + name + "\" is not a text");
    out = view(value->get_string());
    return {};
  }
  Status uuid(const char* name, Uuid& out) {
    std::string written;
    CSNAP_TRY(text(name, written));
    auto parsed = Uuid::parse(written);
    if (!parsed.ok()) return bad(std::string("\"") + name + "\": " + parsed.status().message());
    out = *parsed;
    return {};
  }
  Status done() const {
    if (asked_ == object_.size()) return {};
    return bad("there is something in the line that does not belong there");
  }

 private:
  const json::object& object_;
  std::size_t asked_ = 0;
};

Result<Members> to_members(const json::value& value) {
  const auto* object = value.if_object();
  if (!object) return bad("it is not an object");
  return Members(*object);
}

Status parse_identity(const json::value& value, StreamIdentity& out) {
  CSNAP_ASSIGN(Members members, to_members(value));
  CSNAP_TRY(members.uuid("uuid", out.uuid));
  CSNAP_TRY(members.number("transid", out.ctransid));
  return members.done();
}

Status parse_receiving(const json::value& value, UnfinishedReceive& out) {
  CSNAP_ASSIGN(Members members, to_members(value));
  CSNAP_TRY(members.text("name", out.name));
  CSNAP_ASSIGN(const json::value* identity, members.find("identity"));
  CSNAP_TRY(parse_identity(*identity, out.identity));
  CSNAP_ASSIGN(const json::value* parent, members.find("parent"));
  if (!parent->is_null()) CSNAP_TRY(parse_identity(*parent, out.parent.emplace()));
  CSNAP_TRY(members.number("parent_id", out.parent_id.value));
  CSNAP_TRY(members.text("path", out.path));
  CSNAP_TRY(members.number("offset", out.offset));
  CSNAP_TRY(members.truth("resumable", out.resumable));
  CSNAP_TRY(members.truth("undone", out.undone));
  return members.done();
}

Status parse_replica(const json::value& value, Replica& out) {
  CSNAP_ASSIGN(Members members, to_members(value));
  CSNAP_TRY(members.uuid("store", out.store));
  CSNAP_TRY(members.text("address", out.address));
  CSNAP_TRY(members.number("snapshot", out.snapshot.value));
  CSNAP_TRY(members.number("at", out.at_ns));
  return members.done();
}

Status parse_replication(Members& members, Replication& out) {
  std::uint64_t role = 0;
  CSNAP_TRY(members.number("role", role));
  if (role > static_cast<std::uint64_t>(ReplicationRole::replica))
    return bad("\"role\" must be 0, 1 or 2");
  out.role = static_cast<ReplicationRole>(role);
  CSNAP_ASSIGN(const json::value* receiving, members.find("receiving"));
  if (!receiving->is_null()) CSNAP_TRY(parse_receiving(*receiving, out.receiving.emplace()));
  CSNAP_ASSIGN(const json::value* replicas, members.find("replicas"));
  const auto* array = replicas->if_array();
  if (!array) return bad("\"replicas\" is no array");
  for (const json::value& replica : *array)
    CSNAP_TRY(parse_replica(replica, out.replicas.emplace_back()));
  if (const Status sound = check_replication(out); !sound.ok()) return bad(sound.message());
  return {};
}

Result<DumpLine> parse_header(Members members) {
  std::uint64_t version = 0;
  CSNAP_TRY(members.number("csnap_dump", version));
  if (version != kDumpVersion)
    return Status(Code::unsupported, "the dump is of version " + std::to_string(version) +
                                         "; this build knows version " +
                                         std::to_string(kDumpVersion));
  DumpHeader header;
  CSNAP_TRY(members.uuid("uuid", header.uuid));
  CSNAP_TRY(members.text("label", header.label));
  CSNAP_TRY(members.number("epoch", header.epoch.value));
  CSNAP_TRY(members.number("sequence", header.sequence.value));
  CSNAP_TRY(members.number("next_snapshot", header.next_snapshot.value));
  CSNAP_TRY(parse_replication(members, header.replication));
  for (const auto& [name, member] : kDumpLayout) CSNAP_TRY(members.number(name, header.*member));
  CSNAP_TRY(members.done());
  return DumpLine(std::move(header));
}

Result<DumpLine> parse_snapshot(Members members) {
  Snapshot snapshot;
  std::uint64_t bit = 0;
  CSNAP_TRY(members.number("snapshot", snapshot.id.value));
  CSNAP_TRY(members.uuid("uuid", snapshot.uuid));
  CSNAP_TRY(members.text("name", snapshot.name));
  CSNAP_TRY(members.number("created", snapshot.created));
  CSNAP_TRY(members.number("bit", bit));
  CSNAP_TRY(members.truth("deleting", snapshot.deleting));
  CSNAP_TRY(members.number("deleted_up_to", snapshot.deleted_up_to.value));
  CSNAP_TRY(members.number("transid", snapshot.transid));
  CSNAP_TRY(members.truth("written", snapshot.written));
  if (members.has("received")) {
    CSNAP_ASSIGN(const json::value* identity, members.find("received"));
    snapshot.received.emplace();
    CSNAP_TRY(parse_identity(*identity, snapshot.received->identity));
    CSNAP_TRY(members.text("path", snapshot.received->path));
  }
  if (bit >= kMaxSnapshots) return bad("\"bit\" must be below 64");
  snapshot.bit = static_cast<unsigned>(bit);
  CSNAP_TRY(members.done());
  return DumpLine(std::move(snapshot));
}

Result<StoreRun> parse_pool(const json::value& value) {
  const auto* pair = value.if_array();
  if (!pair || pair->size() != 2) return bad("\"pools\": each is a start and a count");
  CSNAP_ASSIGN(const std::uint64_t start, to_number((*pair)[0]));
  CSNAP_ASSIGN(const std::uint64_t count, to_number((*pair)[1]));
  if (count == 0 && start != 0) return bad("\"pools\": one that is empty begins nowhere");
  return StoreRun{StoreChunk(start), count};
}

Result<DumpLine> parse_session(Members members) {
  ClientEntry session;
  CSNAP_TRY(members.uuid("session", session.id));
  CSNAP_TRY(members.number("volume", session.volume.value));
  CSNAP_ASSIGN(const json::value* pools, members.find("pools"));
  const auto* array = pools->if_array();
  if (!array || array->size() != kMaxPools)
    return bad("\"pools\" must be " + std::to_string(kMaxPools));
  for (std::size_t i = 0; i < kMaxPools; ++i) {
    CSNAP_ASSIGN(session.pools[i], parse_pool((*array)[i]));
  }
  CSNAP_TRY(members.done());
  return DumpLine(session);
}

Status parse_crcs(Members& members, DumpException& out) {
  CSNAP_ASSIGN(const json::value* crcs, members.find("crcs"));
  const auto* array = crcs->if_array();
  if (!array || array->size() != out.chunks.count)
    return bad("\"crcs\" must be one for each chunk");
  out.crcs.reserve(array->size());
  for (const json::value& crc : *array) {
    if (crc.is_null()) {
      out.crcs.push_back(0);
      continue;
    }
    if (!crc.is_string()) return bad("\"crcs\": neither null nor a text");
    CSNAP_ASSIGN(const std::uint64_t value, parse_hex(view(crc.get_string()), 8));
    if (value == 0) return bad("\"crcs\": no checksum is zero; a chunk without one has null");
    out.crcs.push_back(static_cast<std::uint32_t>(value));
  }
  return {};
}

Result<DumpLine> parse_exception(Members members) {
  DumpException out;
  std::string mask;
  CSNAP_TRY(members.number("chunk", out.chunks.start.value));
  CSNAP_TRY(members.number("count", out.chunks.count));
  CSNAP_TRY(members.text("snapshots", mask));
  if (out.chunks.start.value >= kMaxOriginChunks) return bad("\"chunk\" is too large");
  if (out.chunks.count == 0 || out.chunks.count > kMaxDumpRun)
    return bad("\"count\" must be from 1 to " + std::to_string(kMaxDumpRun));
  if (!mask.starts_with("0x")) return bad("\"snapshots\" must begin with 0x");
  CSNAP_ASSIGN(out.mask, parse_hex(std::string_view(mask).substr(2), 16));
  if (members.has("lost")) {
    bool lost = false;
    CSNAP_TRY(members.truth("lost", lost));
    if (!lost) return bad("\"lost\" is true or is not there");
    out.store = lost_store(out.chunks.start);
  } else {
    CSNAP_TRY(members.number("store", out.store.value));
    if (out.lost()) return bad("\"store\" is too large");
    CSNAP_TRY(parse_crcs(members, out));
  }
  CSNAP_TRY(members.done());
  return DumpLine(std::move(out));
}

Result<DumpLine> parse_totals(Members members) {
  DumpTotals totals;
  bool end = false;
  CSNAP_TRY(members.truth("end", end));
  if (!end) return bad("\"end\" is true or is not there");
  CSNAP_TRY(members.number("snapshots", totals.snapshots));
  CSNAP_TRY(members.number("sessions", totals.sessions));
  CSNAP_TRY(members.number("exceptions", totals.exceptions));
  CSNAP_TRY(members.number("chunks", totals.chunks));
  CSNAP_TRY(members.number("lost_chunks", totals.lost_chunks));
  CSNAP_TRY(members.done());
  return DumpLine(totals);
}

}  // namespace

Result<DumpLine> parse_dump_line(std::string_view text) {
  if (text.size() > kMaxDumpLine) return bad("the line is too long");
  unsigned char space[kMaxDumpLine];
  json::monotonic_resource memory(space, sizeof space);
  json::parse_options options;
  options.max_depth = 4;
  json::error_code error;
  const json::value value =
      json::parse(json::string_view(text.data(), text.size()), error, &memory, options);
  if (error) return bad("not JSON: " + error.message());
  const auto* object = value.if_object();
  if (!object) return bad("it is not a JSON object");
  const Members members(*object);
  if (members.has("chunk")) return parse_exception(members);
  if (members.has("csnap_dump")) return parse_header(members);
  if (members.has("snapshot")) return parse_snapshot(members);
  if (members.has("session")) return parse_session(members);
  if (members.has("end")) return parse_totals(members);
  return bad("it is no line of a dump");
}

}  // namespace csnap
