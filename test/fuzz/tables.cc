// SPDX-License-Identifier: Apache-2.0
// The tables of snapshots and of clients, from blocks that say anything under right checksums.
//   u16 next snapshot id, then blocks: {u8 which, patches over its payload}.
#include <array>

#include "store/tables.h"
#include "store/tables_format.h"
#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

// A table that can be read can be written, and says the same when it is read again.
template <class Table>
void look_at(MemoryDevice& device, const Superblock& superblock, std::size_t capacity) {
  BlockCache cache(device, superblock.uuid, 1u << 20);
  std::vector<TableFault> faults;
  const auto parts = Table::decode(cache, superblock, &faults);
  fuzz::require_ok(parts.status(), "what is left of a table");
  fuzz::require(parts->all().size() <= capacity, "a table's size");
  const auto whole = Table::decode(cache, superblock);
  fuzz::require(whole.ok() == faults.empty(), "a table is refused when there are faults");
  fuzz::require_ok(parts->encode(cache, superblock), "writing a table");
  const auto again = Table::decode(cache, superblock);
  fuzz::require_ok(again.status(), "a table written again");
  fuzz::require(again->all() == parts->all(), "a table written again is the same");
}

}  // namespace

FUZZ_TARGET(tables) {
  Superblock superblock = fuzz::plan();
  superblock.next_snapshot = SnapshotId(1 + input.u16());
  const auto volume = fuzz::new_store();
  for (int blocks = 0; !input.empty() && blocks < 32; ++blocks) {
    const unsigned which = input.u8();
    const bool snapshots = which < 128;
    const BlockAddress address = snapshots
                                     ? superblock.snapshots + which % superblock.snapshot_blocks
                                     : superblock.clients + which % superblock.client_blocks;
    auto block = volume->bytes(address.value * kBlockSize, kBlockSize);
    input.patch(std::span(block).subspan(sizeof(BlockHeader)));
    fuzz::put_block(*volume, block, snapshots ? BlockKind::snapshots : BlockKind::clients, address,
                    superblock.uuid);
  }
  MemoryDevice device(volume);
  look_at<SnapshotTable>(device, superblock, kMaxSnapshots);
  look_at<ClientTable>(device, superblock, ClientTable::capacity_of(superblock));
}
