// SPDX-License-Identifier: Apache-2.0
// The tree, and the bitmaps and counts that must agree with it.
#include <algorithm>
#include <cstdio>

#include "server/check_impl.h"

namespace csnap {
namespace {

std::string hex(ShareMask mask) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(mask));
  return text;
}

std::string say(const std::vector<SpaceFacts::Range>& ranges, std::uint64_t blocks) {
  std::string text;
  std::uint64_t said = 0;
  for (const auto& [from, to] : ranges) {
    if (said > 0) text += ", ";
    text += from + 1 == to ? std::to_string(from)
                           : std::to_string(from) + " to " + std::to_string(to - 1);
    said += to - from;
  }
  return said < blocks ? text + " and " + std::to_string(blocks - said) + " more" : text;
}

const char* reason(BadException::Why why) {
  switch (why) {
    case BadException::Why::outside_store:
      return "outside of the store's chunks";
    case BadException::Why::beyond_origin:
      return "beyond the end of the origin";
    case BadException::Why::used_twice:
      return "used by two exceptions, or by the tree itself too";
    case BadException::Why::bad_data:
      return "whose data does not have its checksum";
  }
  return "";
}

// What is wrong with neighbouring chunks, of the same snapshots, for the same reason.
struct BadGroup {
  BadException all;
  std::vector<StoreRun> store;
};

std::vector<BadGroup> group_bad(const std::vector<BadException>& list) {
  constexpr std::size_t kLookBack = 64;  // as many snapshots have chunks of their own in between
  std::vector<BadGroup> groups;
  for (const BadException& bad : list) {
    const StoreRun run{bad.store, bad.chunks.count};
    const auto last = groups.rbegin() + static_cast<long>(std::min(groups.size(), kLookBack));
    const auto group = std::find_if(groups.rbegin(), last, [&](const BadGroup& g) {
      return g.all.why == bad.why && g.all.leaf == bad.leaf && g.all.mask == bad.mask &&
             g.all.chunks.end() == bad.chunks.start;
    });
    if (group == last) {
      groups.push_back({bad, {run}});
      continue;
    }
    group->all.chunks.count += bad.chunks.count;
    if (group->store.back().end() == run.start)
      group->store.back().count += run.count;
    else
      group->store.push_back(run);
  }
  return groups;
}

// "store chunks 7 to 9, 12".
std::string say(const std::vector<StoreRun>& runs) {
  constexpr std::size_t kListed = 8;
  const bool one = runs.size() == 1 && runs[0].count == 1;
  std::string text = one ? "store chunk " : "store chunks ";
  for (std::size_t i = 0; i < std::min(runs.size(), kListed); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(runs[i].start.value);
    if (runs[i].count > 1) text += " to " + std::to_string(runs[i].end().value - 1);
  }
  return runs.size() > kListed ? text + ", ..." : text;
}

}  // namespace

void StoreCheck::look_at_tree() {
  const std::uint64_t blocks = state().superblock().tree_blocks;
  tree_ = gather_tree(*reader_, state().superblock(), state().snapshots(),
                      [&](std::uint64_t done) { progress("tree", done, blocks); });
  report_.counts.leaves = tree_.leaves;
  report_.counts.nodes = tree_.nodes;
  report_.counts.entries = tree_.entries;
  report_.counts.exceptions = tree_.exceptions;
  report_.counts.lost_chunks = tree_.lost_chunks;
  if (!tree_.chunks_twice.empty())
    find_owners(*reader_, state().superblock(), tree_.chunks_twice, BadException::Why::used_twice,
                tree_);
}

void StoreCheck::report_tree() {
  for (const BadBlock& bad : tree_.bad) {
    Finding& finding =
        add(CheckArea::tree, Severity::damage, bad.ref.block,
            std::string(bad.level == 0 ? "a leaf" : "a node") + " is damaged: " + bad.what +
                (bad.level == 0 ? "" : "; what lay below it may still be there (--repair looks)"));
    add_lost(finding, bad.ref.keys, bad.ref.mask);
  }
  for (const WrongMask& mask : tree_.masks)
    add(CheckArea::tree, Severity::damage, mask.ref.parent,
        "it says that masks " + hex(mask.ref.mask) + " are below block " +
            std::to_string(mask.ref.block.value) + ", and there are " + hex(mask.found));
  for (const BlockAddress block : tree_.blocks_twice)
    add(CheckArea::tree, Severity::damage, block, "this block is in the tree twice");
  report_bits(tree_.foreign,
              snapshots_damaged_ ? "of snapshots whose names are lost" : "of no snapshot");
  report_bits(tree_.leftover, "that the deletion of their snapshot should have cleared");
  report_exceptions();
  if (tree_.lost_chunks > 0 && !mended_)
    add(CheckArea::tree, Severity::note, {},
        std::to_string(tree_.lost_chunks) + " chunks are marked as lost, by an earlier repair");
}

void StoreCheck::report_bits(const TreeFacts::Bits& bits, const char* what) {
  if (bits.entries == 0) return;
  add(CheckArea::tree, Severity::damage, bits.first,
      std::to_string(bits.entries) + " entries have bits " + what + ": " + hex(bits.bits) +
          "; the first is that of chunk " + std::to_string(bits.chunk.value));
}

void StoreCheck::report_exceptions() {
  for (const BadGroup& group : group_bad(tree_.exceptions_bad)) {
    const BadException& bad = group.all;
    Finding& finding =
        add(bad.why == BadException::Why::bad_data ? CheckArea::data : CheckArea::tree,
            Severity::damage, bad.leaf,
            say(group.store) + ", of " + to_string(bad.chunks) + ": " + reason(bad.why));
    add_lost(finding, bad.chunks, bad.mask);
  }
  if (tree_.more_bad > 0)
    add(CheckArea::tree, Severity::damage, {},
        std::to_string(tree_.more_bad) + " more like these are not listed");
}

void StoreCheck::look_at_space() {
  const Superblock& s = state().superblock();
  const auto look = [&](const SpaceLayout& space, const char* name, bool data, bool tree) {
    const SpaceFacts facts = check_space(
        *reader_, space, tree_, data, tree,
        [&](std::uint64_t done, std::uint64_t total) { progress("bitmaps", done, total); });
    report_space(space, facts, name);
  };
  look(s.data, s.separate_metadata ? "the store device" : "the store", true, !s.separate_metadata);
  if (s.separate_metadata) look(s.metadata, "the metadata device", false, true);
  if (!tree_.bad.empty()) return;
  compare_count("exceptions", s.exceptions, tree_.exceptions);
  compare_count("tree blocks", s.tree_blocks, tree_.leaves + tree_.nodes);
}

void StoreCheck::report_space(const SpaceLayout& space, const SpaceFacts& facts, const char* name) {
  const std::string where = std::string(" of ") + name;
  for (const auto& bad : facts.bad) add(CheckArea::bitmap, Severity::damage, bad.block, bad.what);
  if (facts.missing_blocks > 0)
    add(CheckArea::bitmap, Severity::damage, {},
        std::to_string(facts.missing_blocks) + " blocks" + where +
            " are in use and counted as free: " + say(facts.missing, facts.missing_blocks));
  if (facts.not_ready > 0)
    add(CheckArea::bitmap, Severity::damage, {},
        std::to_string(facts.not_ready) + " blocks" + where +
            " are in use where no bitmap was ever written");
  for (const auto& [from, to] : facts.shared) {
    const unsigned shift = space.chunk_shift - kBlockShift;
    std::vector<StoreRun> runs{
        {StoreChunk(from >> shift), ((to - 1) >> shift) - (from >> shift) + 1}};
    find_owners(*reader_, state().superblock(), runs, BadException::Why::used_twice, tree_);
  }
  report_leaks(facts, where);
  if (!facts.bad.empty()) return;
  compare_count((std::string("free blocks") + where).c_str(), space.free_blocks, facts.free_blocks);
  compare_count((std::string("free chunks") + where).c_str(), space.free_chunks, facts.free_chunks);
}

void StoreCheck::report_leaks(const SpaceFacts& facts, const std::string& where) {
  if (facts.leaked_blocks == 0) return;
  const std::string list = say(facts.leaked, facts.leaked_blocks);
  if (!tree_.bad.empty()) {
    add(CheckArea::bitmap, Severity::note, {},
        std::to_string(facts.leaked_blocks) + " blocks" + where +
            " are in use by what could not be reached: " + list);
    return;
  }
  report_.counts.leaked_blocks += facts.leaked_blocks;
  add(CheckArea::bitmap, Severity::leak, {},
      std::to_string(facts.leaked_blocks) + " blocks" + where +
          " are marked as used and used by nothing (--repair gives them back): " + list);
}

void StoreCheck::compare_count(const char* what, std::uint64_t said, std::uint64_t found) {
  if (said == found) return;
  add(CheckArea::counts, Severity::damage, {},
      "the superblock says " + std::to_string(said) + " " + what + ", there are " +
          std::to_string(found));
}

}  // namespace csnap
