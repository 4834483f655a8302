// SPDX-License-Identifier: Apache-2.0
#include "journal/journal_format.h"

#include <catch2/catch.hpp>

#include "test/journal/journal_rig.h"

namespace csnap {
namespace {

std::string hex(std::span<const std::byte> bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(b >> 4)];
    text += kDigits[std::to_integer<unsigned>(b & std::byte{15})];
  }
  return text;
}

// The bytes of docs/format/journal.md.
TEST_CASE("the worked example of the format page is what is written") {
  JournalRig rig(16);
  rig.epoch = Epoch(1);
  rig.restart({2, Sequence(3)}, {2, Sequence(3)});
  Bytes records;
  encode_record(ExceptionAdded{Chunk(7), StoreChunk(300), 0x5, {0x11223344, 0x55667788}}, records);
  encode_record(SnapshotDeleted{SnapshotId(4)}, records);
  REQUIRE(rig.append(rig.commit(records)).ok());
  const Bytes block = rig.ring_block(2);
  const std::vector<std::string> lines{
      "4353636f350118680a00000000000000", "efcdab89674543019032547698badcfe",
      "03000000000000000000000000000000", "00000000000000000000000000000000",
      "02000000000000000000000000000000", "27000000000000000100000000000000",
      "00000000000000000101070000000000", "2c010000000005000000000000004433",
      "22118877665506040000000000000000",
  };
  for (std::size_t i = 0; i < lines.size(); ++i)
    CHECK(hex(std::span(block).subspan(16 * i, 16)) == lines[i]);
  CHECK(block == [&] {
    Bytes padded(block.begin(), block.begin() + kCommitRecords + 39);
    padded.resize(kBlockSize);
    return padded;
  }());
}

}  // namespace
}  // namespace csnap
