// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "store/block_cache.h"

using namespace csnap;

namespace {

const Uuid kStore = Uuid::from_random(1, 2);

std::vector<std::byte> sealed(BlockKind kind, BlockAddress address, const Uuid& store = kStore) {
  std::vector<std::byte> block(kBlockSize);
  for (std::size_t i = sizeof(BlockHeader); i < kBlockSize; ++i)
    block[i] = static_cast<std::byte>(i * 13);
  seal_block(block, kind, address, store, Sequence{77});
  return block;
}

bool mentions(const Status& status, const std::string& text) {
  return status.message().find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a sealed block passes its checks") {
  const auto block = sealed(BlockKind::leaf, BlockAddress{1234});
  CHECK(check_block(block, BlockKind::leaf, BlockAddress{1234}, kStore).ok());
  CHECK(check_any_block(block, BlockAddress{1234}, kStore).ok());
  CHECK(kind_of(block) == BlockKind::leaf);
  CHECK(view_as<BlockHeader>(std::span<const std::byte>(block)).sequence.get() == 77);
}

TEST_CASE("the header of a block lies on disk as the format page says") {
  std::vector<std::byte> block(kBlockSize);
  seal_block(block, BlockKind::bitmap, BlockAddress{0x0102030405060708}, kStore, Sequence{9});
  CHECK(block[0] == std::byte{'C'});
  CHECK(block[1] == std::byte{'S'});
  CHECK(block[2] == std::byte{'b'});
  CHECK(block[3] == std::byte{'m'});
  CHECK(block[8] == std::byte{8});
  CHECK(block[15] == std::byte{1});
  CHECK(block[16] == std::byte{kStore.bytes[0]});
  CHECK(block[31] == std::byte{kStore.bytes[15]});
  CHECK(block[32] == std::byte{9});
}

TEST_CASE("any flipped bit of a block is found") {
  const auto good = sealed(BlockKind::node, BlockAddress{5});
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  for (int i = 0; i < 2000; ++i) {
    auto block = good;
    // Every bit of the header, and a sample of the rest.
    const std::size_t bit = i < 512 ? static_cast<std::size_t>(i) : rng() % (kBlockSize * 8);
    block[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    INFO("bit " << bit);
    REQUIRE(check_block(block, BlockKind::node, BlockAddress{5}, kStore).code() == Code::corrupt);
    REQUIRE(check_any_block(block, BlockAddress{5}, kStore).code() == Code::corrupt);
  }
}

TEST_CASE("a block of another kind is refused by name") {
  const auto block = sealed(BlockKind::bitmap, BlockAddress{5});
  const Status status = check_block(block, BlockKind::leaf, BlockAddress{5}, kStore);
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message() == "metadata block 5: it is a bitmap, not a leaf");
}

TEST_CASE("a block of a kind that this build does not know is refused") {
  const auto block = sealed(static_cast<BlockKind>(0x21212121), BlockAddress{5});
  const Status status = check_any_block(block, BlockAddress{5}, kStore);
  CHECK(status.message() == "metadata block 5: it is a block of unknown kind 0x21212121");
}

TEST_CASE("a block that was written to the wrong place says where it belongs") {
  const auto block = sealed(BlockKind::leaf, BlockAddress{5});
  const Status status = check_block(block, BlockKind::leaf, BlockAddress{6}, kStore);
  CHECK(status.message() == "metadata block 6: it says it is block 5");
}

TEST_CASE("a block of another store is refused with both names") {
  const Uuid other = Uuid::from_random(3, 4);
  const auto block = sealed(BlockKind::leaf, BlockAddress{5}, other);
  const Status status = check_any_block(block, BlockAddress{5}, kStore);
  CHECK(mentions(status, "belongs to store " + other.to_string()));
  CHECK(mentions(status, kStore.to_string()));
}

TEST_CASE("a block that is wrong in every way is told in full") {
  auto block = sealed(BlockKind::leaf, BlockAddress{5}, Uuid::from_random(3, 4));
  block[100] ^= std::byte{1};
  const Status status = check_block(block, BlockKind::node, BlockAddress{6}, kStore);
  CHECK(mentions(status, "not a node"));
  CHECK(mentions(status, "it says it is block 5"));
  CHECK(mentions(status, "belongs to store"));
  CHECK(mentions(status, "its checksum is"));
}

TEST_CASE("a block of zeros is called that") {
  const std::vector<std::byte> block(kBlockSize);
  const Status status = check_block(block, BlockKind::leaf, BlockAddress{5}, kStore);
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message() == "metadata block 5: it is all zeros: never written, or lost");
}

TEST_CASE("every kind of block has a name of its own") {
  std::vector<std::string> names;
  for (const auto kind : {BlockKind::superblock, BlockKind::data_label, BlockKind::snapshots,
                          BlockKind::clients, BlockKind::bitmap, BlockKind::checksums,
                          BlockKind::commit, BlockKind::leaf, BlockKind::node}) {
    names.emplace_back(kind_name(kind));
    CHECK(check_any_block(sealed(kind, BlockAddress{3}), BlockAddress{3}, kStore).ok());
  }
  std::sort(names.begin(), names.end());
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
}
