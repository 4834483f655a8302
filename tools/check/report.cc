// SPDX-License-Identifier: Apache-2.0
#include "tools/check/report.h"

#include "tools/common/json.h"

namespace csnap {
namespace {

std::string number(std::uint64_t n, const char* one, const char* many) {
  return std::to_string(n) + " " + (n == 1 ? one : many);
}

std::string verdict(const CheckReport& report) {
  const std::size_t damage = report.number_of(Severity::damage);
  if (damage == 0) return "clean";
  return number(damage, "damage", "damages") + " found";
}

std::string contents(const CheckToolOptions& options, const CheckReport& report) {
  const CheckCounts& counts = report.counts;
  std::string text = number(counts.snapshots, "snapshot", "snapshots") + ", " +
                     number(counts.exceptions, "exception", "exceptions") + " in " +
                     number(counts.leaves, "leaf", "leaves") + " and " +
                     number(counts.nodes, "node", "nodes");
  if (counts.commits > 0)
    text += ", " + number(counts.commits, "commit", "commits") + " replayed in memory";
  if (options.data)
    text += ", data of " + number(counts.data_chunks, "chunk", "chunks") + " compared, " +
            std::to_string(counts.unverifiable) + " without a checksum";
  return text;
}

boost::json::object to_json(const Finding& finding) {
  boost::json::object out;
  out["area"] = area_name(finding.area);
  out["severity"] = severity_name(finding.severity);
  out["block"] = finding.block ? boost::json::value(finding.block->value) : nullptr;
  out["text"] = finding.text;
  boost::json::array lost;
  for (const LostRange& range : finding.lost) {
    boost::json::array names;
    for (const std::string& name : range.snapshots) names.emplace_back(name);
    lost.push_back({{"first", range.chunks.start.value},
                    {"count", range.chunks.count},
                    {"snapshots", std::move(names)}});
  }
  out["lost"] = std::move(lost);
  return out;
}

boost::json::object to_json(const CheckCounts& counts) {
  return {{"commits_replayed", counts.commits},
          {"records_replayed", counts.records},
          {"snapshots", counts.snapshots},
          {"clients", counts.clients},
          {"leaves", counts.leaves},
          {"nodes", counts.nodes},
          {"entries", counts.entries},
          {"exceptions", counts.exceptions},
          {"lost_chunks", counts.lost_chunks},
          {"leaked_blocks", counts.leaked_blocks},
          {"data_chunks", counts.data_chunks},
          {"unverifiable_chunks", counts.unverifiable}};
}

}  // namespace

std::string check_report_text(const CheckToolOptions& options, const CheckReport& report) {
  std::string text;
  for (const Finding& finding : report.findings)
    text += std::string(severity_name(finding.severity)) + ": " + to_string(finding) + "\n";
  if (report.complete) text += options.store + ": " + contents(options, report) + "\n";
  text += options.store + ": " + verdict(report) +
          (report.complete ? "" : "; the rest could not be looked at") + "\n";
  return text;
}

std::string check_report_json(const CheckToolOptions& options, const CheckReport& report) {
  boost::json::object out;
  out["store"] = options.store;
  out["uuid"] = report.superblock.uuid.to_string();
  out["label"] = report.superblock.label;
  out["chunk_size"] = report.superblock.chunk_size();
  out["clean"] = !report.damaged();
  out["complete"] = report.complete;
  boost::json::array findings;
  for (const Finding& finding : report.findings) findings.push_back(to_json(finding));
  out["findings"] = std::move(findings);
  out["counts"] = to_json(report.counts);
  return to_json_text(out);
}

}  // namespace csnap
