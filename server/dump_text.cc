// SPDX-License-Identifier: Apache-2.0
// From what a dump says to its text.
#include "server/dump_text.h"

#include <boost/json.hpp>

#include "server/dump_layout.h"

namespace csnap {
namespace {

void append_number(std::string& out, std::uint64_t value) {
  char digits[20];
  char* at = digits + sizeof digits;
  do {
    *--at = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  out.append(at, static_cast<std::size_t>(digits + sizeof digits - at));
}

void append_hex(std::string& out, std::uint64_t value, unsigned digits) {
  for (unsigned i = digits; i-- > 0;) out += "0123456789abcdef"[value >> (4 * i) & 0xf];
}

// Quotes and escapes.
std::string quoted(const std::string& text) {
  return boost::json::serialize(boost::json::string_view(text.data(), text.size()));
}

class Line {
 public:
  void number(const char* name, std::uint64_t value) {
    key(name);
    append_number(text_, value);
  }
  void text(const char* name, const std::string& value) {
    key(name);
    text_ += quoted(value);
  }
  void raw(const char* name, const std::string& value) {
    key(name);
    text_ += value;
  }
  std::string object() { return std::move(text_) + "}"; }
  std::string end() { return object() + "\n"; }

 private:
  void key(const char* name) {
    text_ += text_.empty() ? "{\"" : ",\"";
    text_ += name;
    text_ += "\":";
  }
  std::string text_;
};

const char* text_of(bool value) {
  return value ? "true" : "false";
}

std::string text_of(const StreamIdentity& identity) {
  Line line;
  line.text("uuid", identity.uuid.to_string());
  line.number("transid", identity.ctransid);
  return line.object();
}

std::string text_of(const UnfinishedReceive& receiving) {
  Line line;
  line.text("name", receiving.name);
  line.raw("identity", text_of(receiving.identity));
  line.raw("parent", receiving.parent ? text_of(*receiving.parent) : "null");
  line.number("parent_id", receiving.parent_id.value);
  line.text("path", receiving.path);
  line.number("offset", receiving.offset);
  line.raw("resumable", text_of(receiving.resumable));
  line.raw("undone", text_of(receiving.undone));
  return line.object();
}

std::string text_of(const std::vector<Replica>& replicas) {
  std::string text;
  for (const Replica& replica : replicas) {
    Line line;
    line.text("store", replica.store.to_string());
    line.text("address", replica.address);
    line.number("snapshot", replica.snapshot.value);
    line.number("at", replica.at_ns);
    text += (text.empty() ? "" : ",") + line.object();
  }
  return "[" + text + "]";
}

}  // namespace

std::string dump_line(const DumpHeader& header) {
  Line line;
  line.number("csnap_dump", kDumpVersion);
  line.text("uuid", header.uuid.to_string());
  line.text("label", header.label);
  line.number("epoch", header.epoch.value);
  line.number("sequence", header.sequence.value);
  line.number("next_snapshot", header.next_snapshot.value);
  const Replication& replication = header.replication;
  line.number("role", static_cast<std::uint64_t>(replication.role));
  line.raw("receiving", replication.receiving ? text_of(*replication.receiving) : "null");
  line.raw("replicas", text_of(replication.replicas));
  for (const auto& [name, member] : kDumpLayout) line.number(name, header.*member);
  return line.end();
}

std::string dump_line(const Snapshot& snapshot) {
  Line line;
  line.number("snapshot", snapshot.id.value);
  line.text("uuid", snapshot.uuid.to_string());
  line.text("name", snapshot.name);
  line.number("created", snapshot.created);
  line.number("bit", snapshot.bit);
  line.raw("deleting", text_of(snapshot.deleting));
  line.number("deleted_up_to", snapshot.deleted_up_to.value);
  line.number("transid", snapshot.transid);
  line.raw("written", text_of(snapshot.written));
  if (snapshot.received) {
    line.raw("received", text_of(snapshot.received->identity));
    line.text("path", snapshot.received->path);
  }
  return line.end();
}

std::string dump_line(const ClientEntry& session) {
  Line line;
  line.text("session", session.id.to_string());
  line.number("volume", session.volume.value);
  std::string pools;
  for (const StoreRun& pool : session.pools)
    pools += (pools.empty() ? "[[" : ",[") + std::to_string(pool.start.value) + "," +
             std::to_string(pool.count) + "]";
  line.raw("pools", pools + "]");
  return line.end();
}

std::string dump_line(const DumpTotals& totals) {
  Line line;
  line.raw("end", "true");
  line.number("snapshots", totals.snapshots);
  line.number("sessions", totals.sessions);
  line.number("exceptions", totals.exceptions);
  line.number("chunks", totals.chunks);
  line.number("lost_chunks", totals.lost_chunks);
  return line.end();
}

void append_dump_line(const DumpException& exception, std::string& out) {
  out += "{\"chunk\":";
  append_number(out, exception.chunks.start.value);
  out += ",\"count\":";
  append_number(out, exception.chunks.count);
  if (exception.lost()) {
    out += ",\"lost\":true";
  } else {
    out += ",\"store\":";
    append_number(out, exception.store.value);
  }
  out += ",\"snapshots\":\"0x";
  append_hex(out, exception.mask, 16);
  out += '"';
  if (!exception.lost()) {
    const char* separator = ",\"crcs\":[";
    for (const std::uint32_t crc : exception.crcs) {
      out += separator;
      separator = ",";
      if (crc == 0) {
        out += "null";
        continue;
      }
      out += '"';
      append_hex(out, crc, 8);
      out += '"';
    }
    out += ']';
  }
  out += "}\n";
}

}  // namespace csnap
