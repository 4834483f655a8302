// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/nodes.h"

#include <catch2/catch.hpp>
#include <set>

namespace csnap {

TEST_CASE("A file system's names for volumes are made of their ids, and of nothing else") {
  std::set<NodeId> nodes{kRootNode, kSnapshotsNode, kByIdNode};
  std::set<std::uint64_t> inodes;
  for (const NodeId node : nodes) {
    CHECK(is_folder(node));
    CHECK_FALSE(is_volume(node));
    inodes.insert(inode_of(node));
  }
  for (const std::uint64_t id : {0ull, 1ull, 2ull, 3ull, 16ull, 1ull << 40}) {
    const NodeId node = node_of(id);
    CHECK(is_volume(node));
    CHECK_FALSE(is_folder(node));
    CHECK(volume_of(node) == id);
    CHECK(nodes.insert(node).second);
    CHECK(inodes.insert(inode_of(node)).second);
    if (id > 0) CHECK(inode_of(node) == id);
  }
}

TEST_CASE("Handles of one store are strangers to another") {
  const Uuid one = Uuid::from_random(1, 1), other = Uuid::from_random(1, 2);
  CHECK(generation_of(one) == generation_of(one));
  CHECK(generation_of(one) != generation_of(other));
  CHECK(generation_of(one) != 0);
  CHECK(generation_of(one) >> 32 == 0);  // what the kernel keeps of it
}

}  // namespace csnap
