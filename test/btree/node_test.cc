// SPDX-License-Identifier: Apache-2.0
#include "btree/node.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "test/btree/block.h"

using namespace csnap;
using namespace csnap::test;

namespace {

Block empty_node(unsigned level = 1) {
  Block block;
  node_init(block, level);
  return block;
}

NodeEntry entry(std::uint64_t key, std::uint64_t child, ShareMask mask = 1) {
  return {Chunk{key}, BlockAddress{child}, mask};
}

std::vector<NodeEntry> entries_of(const Block& block) {
  std::vector<NodeEntry> all;
  const NodeView node(block);
  for (unsigned i = 0; i < node.entries(); ++i) all.push_back(node.entry(i));
  return all;
}

Block node_of(std::initializer_list<NodeEntry> entries, unsigned level = 1) {
  Block block = empty_node(level);
  for (const NodeEntry& one : entries) node_insert(block, NodeView(block).entries(), one);
  return block;
}

}  // namespace

TEST_CASE("a node leads each key to the last entry that is not above it, the lowest to the first") {
  const Block block = node_of({entry(10, 100), entry(20, 200), entry(30, 300)});
  const NodeView node(block);
  CHECK(node.find(Chunk{0}) == 0);
  CHECK(node.find(Chunk{10}) == 0);
  CHECK(node.find(Chunk{19}) == 0);
  CHECK(node.find(Chunk{20}) == 1);
  CHECK(node.find(Chunk{30}) == 2);
  CHECK(node.find(Chunk{kMaxChunks - 1}) == 2);
}

TEST_CASE("the keys of an entry that is removed fall to its neighbour") {
  Block block = node_of({entry(10, 100), entry(20, 200, 2), entry(30, 300, 4)});
  node_remove(block, 1);
  CHECK(entries_of(block) == std::vector{entry(10, 100), entry(30, 300, 4)});
  node_remove(block, 0);
  CHECK(entries_of(block) == std::vector{entry(10, 300, 4)});
  node_remove(block, 0);
  CHECK(NodeView(block).entries() == 0);
}

TEST_CASE("a merged node takes the separator for the first key of the right half") {
  Block left = node_of({entry(10, 100), entry(20, 200)}, 2);
  const Block right = node_of({entry(45, 300, 8), entry(50, 400)}, 2);
  node_merge(left, NodeView(right), Chunk{40});
  CHECK(entries_of(left) ==
        std::vector{entry(10, 100), entry(20, 200), entry(40, 300, 8), entry(50, 400)});
  CHECK(NodeView(left).mask_union() == 9);
  Block half = empty_node(2);
  node_split(left, half, 2);
  CHECK(entries_of(left) == std::vector{entry(10, 100), entry(20, 200)});
  CHECK(entries_of(half) == std::vector{entry(40, 300, 8), entry(50, 400)});
}

TEST_CASE("a node under random events equals a map") {
  const auto seed = GENERATE(1u, 2u, 3u);
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  Block block = empty_node();
  std::map<std::uint64_t, NodeEntry> twin;
  for (int event = 0; event < 20000; ++event) {
    const std::uint64_t key = rng() % 3000;
    const bool grow = rng() % 1000 < (event / 2000 % 2 ? 300 : 700);
    auto it = twin.lower_bound(key);
    const auto position = static_cast<unsigned>(std::distance(twin.begin(), it));
    if (grow && twin.size() < kMaxNodeEntries && !twin.contains(key)) {
      const NodeEntry added = entry(key, 1 + rng() % 1000, rng() | 1);
      node_insert(block, position, added);
      twin[key] = added;
    } else if (!grow && it != twin.end()) {
      node_remove(block, position);
      NodeEntry next = std::next(it) == twin.end() ? NodeEntry{} : std::next(it)->second;
      const std::uint64_t old = it->first;
      it = twin.erase(it);
      if (position == 0 && it != twin.end()) {
        next.key = Chunk{old};
        twin.erase(it);
        twin[old] = next;
      }
    } else if (it != twin.end()) {
      it->second.mask = rng() | 1;
      node_set_mask(block, position, it->second.mask);
    }
    REQUIRE(NodeView(block).entries() == twin.size());
    if (twin.empty()) continue;
    REQUIRE(validate_node(block).ok());
    std::vector<NodeEntry> expected;
    ShareMask all = 0;
    for (const auto& [at, one] : twin) expected.push_back(one), all |= one.mask;
    REQUIRE(entries_of(block) == expected);
    REQUIRE(NodeView(block).mask_union() == all);
    const std::uint64_t wanted = rng() % 3100;
    auto after = twin.upper_bound(wanted);
    const auto index = after == twin.begin() ? 0 : std::distance(twin.begin(), after) - 1;
    REQUIRE(NodeView(block).find(Chunk{wanted}) == static_cast<unsigned>(index));
  }
}

TEST_CASE("a damaged node is named as such") {
  Block block = node_of({entry(10, 100), entry(20, 200)});
  REQUIRE(validate_node(block).ok());
  auto& head = view_as<NodeHead>(block.payload());
  auto* disk = &view_as<DiskNodeEntry>(block.payload().subspan(sizeof(NodeHead)));
  std::string what;
  SECTION("no entries") {
    head.entries.set(0), what = "0 entries";
  }
  SECTION("more entries than fit") {
    head.entries.set(202), what = "202 entries";
  }
  SECTION("the level of a leaf") {
    head.level.set(0), what = "level 0";
  }
  SECTION("a level no tree has") {
    head.level.set(kMaxTreeLevels), what = "level 10";
  }
  SECTION("reserved bytes") {
    head.reserved[0] = 1, what = "reserved";
  }
  SECTION("no child") {
    disk[1].child.set(0), what = "entry 1: no child";
  }
  SECTION("no mask") {
    disk[0].mask.set(0), what = "entry 0: no mask";
  }
  SECTION("the same key twice") {
    disk[1].key.set(10), what = "not above";
  }
  SECTION("keys out of order") {
    disk[1].key.set(9), what = "not above";
  }
  const Status status = validate_node(block);
  CHECK(status.code() == Code::corrupt);
  CHECK_THAT(status.message(), Catch::Contains(what));
}
