// SPDX-License-Identifier: Apache-2.0
#include "tools/mkstore/report.h"

#include "tools/common/json.h"
#include "tools/common/size.h"
#include "tools/common/table.h"

namespace csnap {
namespace {

std::uint64_t capacity(const Superblock& superblock) {
  return superblock.data.free_chunks << superblock.chunk_shift;
}

std::string quoted(const std::string& path) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,=";
  if (!path.empty() && path.find_first_not_of(kPlain) == std::string::npos) return path;
  std::string text = "'";
  for (const char c : path) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string next_command(const MkstoreOptions& options) {
  return "csnapd --origin " + quoted(options.origin) + " --store " + quoted(options.store) +
         (options.metadata.empty() ? "" : " --metadata " + quoted(options.metadata));
}

}  // namespace

std::string report_text(const MkstoreOptions& options, const MadeStore& made) {
  const Superblock& s = made.superblock;
  Table table({{"", false}, {"", false}});
  table.row({"  UUID", s.uuid.to_string()});
  if (!s.label.empty()) table.row({"  label", s.label});
  table.row({"  origin", options.origin + ", " + format_size(s.origin_size)});
  table.row({"  store", options.store + ", " + format_size(made.store_size) +
                            (made.file_made ? " (new file)" : "")});
  if (s.separate_metadata)
    table.row({"  metadata", options.metadata + ", " + format_size(made.metadata_size)});
  table.row({"  chunk size", format_size(s.chunk_size())});
  table.row({"  journal", format_size(s.journal_blocks * kBlockSize)});
  table.row({"  capacity", format_size(capacity(s)) + " of changed data" +
                               (s.separate_metadata ? "" : " and its metadata")});
  return (options.dry_run ? "Would make a snapshot store:\n" : "Made a snapshot store:\n") +
         table.text() + (options.dry_run ? "" : "Next: " + next_command(options) + "\n");
}

std::string report_json(const MkstoreOptions& options, const MadeStore& made) {
  const Superblock& s = made.superblock;
  const auto device = [](const std::string& path, std::uint64_t size) {
    return boost::json::object{{"path", path}, {"size", size}};
  };
  boost::json::object out;
  out["uuid"] = s.uuid.to_string();
  out["label"] = s.label;
  out["origin"] = device(options.origin, s.origin_size);
  out["store"] = device(options.store, made.store_size);
  out["metadata"] = s.separate_metadata
                        ? boost::json::value(device(options.metadata, made.metadata_size))
                        : boost::json::value(nullptr);
  out["chunk_size"] = s.chunk_size();
  out["journal_size"] = s.journal_blocks * kBlockSize;
  out["capacity"] = capacity(s);
  out["file_made"] = made.file_made && !options.dry_run;
  out["dry_run"] = options.dry_run;
  return to_json_text(out);
}

}  // namespace csnap
