// SPDX-License-Identifier: Apache-2.0
// Findings in words.
#include <algorithm>

#include "server/check.h"

namespace csnap {
namespace {

std::string list_of(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "no snapshot that still has a name" : text;
}

}  // namespace

const char* area_name(CheckArea area) {
  switch (area) {
    case CheckArea::superblock:
      return "superblock";
    case CheckArea::data_label:
      return "data label";
    case CheckArea::journal:
      return "journal";
    case CheckArea::snapshots:
      return "snapshot table";
    case CheckArea::clients:
      return "client table";
    case CheckArea::tree:
      return "tree";
    case CheckArea::bitmap:
      return "bitmap";
    case CheckArea::checksums:
      return "checksum table";
    case CheckArea::counts:
      return "counts";
    case CheckArea::data:
      return "data";
  }
  return "store";
}

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::damage:
      return "damage";
    case Severity::leak:
      return "leak";
    case Severity::note:
      return "note";
  }
  return "finding";
}

std::string to_string(const ChunkRun& chunks) {
  const std::string first = std::to_string(chunks.start.value);
  if (chunks.count == 1) return "chunk " + first;
  return "chunks " + first + " to " + std::to_string(chunks.end().value - 1);
}

std::string to_string(const Finding& finding) {
  std::string text = area_name(finding.area);
  if (finding.block) text += ", block " + std::to_string(finding.block->value);
  text += ": " + finding.text;
  for (const LostRange& lost : finding.lost) {
    text += "; lost: " + to_string(lost.chunks) + " of " + list_of(lost.snapshots);
  }
  return text;
}

bool CheckReport::damaged() const {
  return number_of(Severity::damage) > 0;
}

std::size_t CheckReport::number_of(Severity severity) const {
  return static_cast<std::size_t>(
      std::count_if(findings.begin(), findings.end(),
                    [severity](const Finding& f) { return f.severity == severity; }));
}

}  // namespace csnap
