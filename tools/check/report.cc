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

// What repair does not mend either.
std::string doubts_of(const CheckReport& report) {
  std::string text;
  for (const std::string& doubt : report.doubts) text += "not known: " + doubt + "\n";
  return text;
}

std::string contents(const CheckToolOptions& options, const CheckReport& report) {
  const CheckCounts& counts = report.counts;
  std::string text = number(counts.snapshots, "snapshot", "snapshots") + ", " +
                     number(counts.exceptions, "exception", "exceptions") + " in " +
                     number(counts.leaves, "leaf", "leaves") + " and " +
                     number(counts.nodes, "node", "nodes");
  if (counts.commits > 0)
    text += ", " + number(counts.commits, "commit", "commits") + " replayed in memory";
  if (options.data || counts.data_chunks > 0)
    text += ", data of " + number(counts.data_chunks, "chunk", "chunks") + " compared, " +
            std::to_string(counts.unverifiable) + " without a checksum";
  return text;
}

boost::json::array to_json(const std::vector<std::string>& texts) {
  boost::json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

boost::json::array to_json(const std::vector<LostRange>& lost) {
  boost::json::array out;
  for (const LostRange& range : lost)
    out.push_back({{"first", range.chunks.start.value},
                   {"count", range.chunks.count},
                   {"snapshots", to_json(range.snapshots)}});
  return out;
}

boost::json::object to_json(const Finding& finding) {
  boost::json::object out;
  out["area"] = area_name(finding.area);
  out["severity"] = severity_name(finding.severity);
  out["block"] = finding.block ? boost::json::value(finding.block->value) : nullptr;
  out["text"] = finding.text;
  out["lost"] = to_json(finding.lost);
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
  text += doubts_of(report);
  if (report.complete) text += options.store + ": " + contents(options, report) + "\n";
  text += options.store + ": " + verdict(report) +
          (report.complete ? "" : "; the rest could not be looked at") + "\n";
  return text;
}

namespace {

boost::json::object json_of(const CheckToolOptions& options, const CheckReport& report) {
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
  out["not_known"] = to_json(report.doubts);
  out["counts"] = to_json(report.counts);
  return out;
}

// What was done, one sentence each.
std::vector<std::string> deeds(const RepairReport& report) {
  const Mended& done = report.done;
  std::vector<std::string> out = report.deeds;
  const auto add = [&](std::uint64_t n, const char* one, const char* many) {
    if (n > 0) out.push_back(number(n, one, many));
  };
  add(done.blocks_cut, "damaged block cut out of the tree", "damaged blocks cut out of the tree");
  add(done.leaves_saved, "leaf that nothing led to was found again",
      "leaves that nothing led to were found again");
  add(done.exceptions_saved, "chunk in them saved", "chunks in them saved");
  add(done.exceptions_cleared, "impossible exception taken out", "impossible exceptions taken out");
  add(done.chunks_rotten, "chunk given up whose data did not have its checksum",
      "chunks given up whose data did not have its checksum");
  add(done.masks_corrected, "mask in a node corrected", "masks in nodes corrected");
  add(done.bits_cleared, "entry freed of bits of snapshots that are not there",
      "entries freed of bits of snapshots that are not there");
  add(done.bitmap_blocks, "bitmap block written anew", "bitmap blocks written anew");
  add(done.checksum_blocks, "block of the checksum table emptied",
      "blocks of the checksum table emptied");
  add(done.blocks_reclaimed, "block given back that nothing used",
      "blocks given back that nothing used");
  for (const std::string& name : done.recovered)
    out.push_back("a snapshot that had lost its name is now " + name);
  if (out.empty() && report.changed) out.push_back("the metadata was written anew");
  return out;
}

std::string text_of(const LostRange& lost) {
  std::string names;
  for (const std::string& name : lost.snapshots) names += (names.empty() ? "" : ", ") + name;
  return to_string(lost.chunks) + " of " +
         (names.empty() ? "no snapshot that still has a name" : names);
}

// What became of the copy, and how it is used.
std::string copy_text(const CheckToolOptions& options, const RepairOutcome& outcome) {
  const CheckReport& after = outcome.report.after;
  if (!outcome.written) return options.to + ": not written, for not all could be repaired\n";
  std::string text = options.to + ": written, with all metadata; ";
  if (options.metadata.empty())
    return text + "it is put back with: csnap-dump " + options.to + " | csnap-restore --force " +
           options.store + "\n";
  text += "it takes the place of " + options.metadata + "\n";
  if (after.damaged())
    text += "What is damaged on " + options.store +
            " itself is repaired with: csnap-check --repair --metadata " + options.to + " " +
            options.store + "\n";
  return text;
}

}  // namespace

std::string check_report_json(const CheckToolOptions& options, const CheckReport& report) {
  return to_json_text(json_of(options, report));
}

std::string repair_report_text(const CheckToolOptions& options, const RepairOutcome& outcome) {
  const RepairReport& report = outcome.report;
  const std::string copy = options.to.empty() ? "" : copy_text(options, outcome);
  std::string text;
  if (!report.changed) {
    for (const std::string& deed : deeds(report)) text += "in the copy: " + deed + "\n";
    text += check_report_text(options, report.before);
    if (options.to.empty() && report.before.counts.commits > 0 && !report.before.damaged())
      text += options.store + ": nothing was changed; " +
              number(report.before.counts.commits, "commit", "commits") + " of the journal " +
              "will be replayed by the next server\n";
    return text + copy;
  }
  for (const Finding& finding : report.before.findings)
    text += std::string(severity_name(finding.severity)) + ": " + to_string(finding) + "\n";
  for (const std::string& deed : deeds(report)) text += "repaired: " + deed + "\n";
  for (const LostRange& lost : report.lost) text += "marked as lost: " + text_of(lost) + "\n";
  text += report.after.damaged() ? "After the repair:\n" : "";
  text += doubts_of(report.before) + check_report_text(options, report.after);
  if (!report.before.doubts.empty() && !report.after.damaged())
    text += options.store + ": the metadata is sound again, but not all that snapshots held is " +
            "known; see above\n";
  return text + copy;
}

std::string repair_report_json(const CheckToolOptions& options, const RepairOutcome& outcome) {
  const RepairReport& report = outcome.report;
  boost::json::object out = json_of(options, report.before);
  boost::json::object repair;
  repair["changed"] = report.changed;
  repair["to"] = options.to.empty() ? boost::json::value(nullptr) : boost::json::value(options.to);
  repair["written"] = outcome.written;
  repair["done"] = to_json(deeds(report));
  repair["lost"] = to_json(report.lost);
  repair["after"] = json_of(options, report.after);
  out["repair"] = std::move(repair);
  return to_json_text(out);
}

}  // namespace csnap
