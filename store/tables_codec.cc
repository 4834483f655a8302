// SPDX-License-Identifier: Apache-2.0
// The tables as blocks: docs/format/tables.md.
#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

#include "store/replication_codec.h"
#include "store/tables.h"
#include "store/tables_format.h"
#include "store/zeros.h"

namespace csnap {
namespace {

static_assert(sizeof(SnapshotDisk::name) == kMaxSnapshotName);
static_assert(std::size(ClientDisk{}.pools) == kMaxPools);

Status bad(const std::string& what) {
  return Status(Code::corrupt, what);
}

SnapshotDisk encode_entry(const Snapshot& s) {
  SnapshotDisk disk{};
  disk.id.set(s.id.value);
  std::memcpy(disk.uuid, s.uuid.bytes.data(), sizeof disk.uuid);
  disk.created.set(s.created);
  disk.deleted_up_to.set(s.deleted_up_to.value);
  disk.bit.set(static_cast<std::uint8_t>(s.bit));
  disk.flags.set(static_cast<std::uint8_t>((s.deleting ? kSnapshotDeleting : 0) |
                                           (s.written ? kSnapshotWritten : 0) |
                                           (s.received ? kSnapshotReceived : 0)));
  disk.transid.set(s.transid);
  if (s.received) {
    encode_identity(s.received->identity, disk.received);
    disk.path_length.set(static_cast<std::uint8_t>(s.received->path.size()));
    std::memcpy(disk.path, s.received->path.data(),
                std::min(s.received->path.size(), sizeof disk.path));
  }
  disk.name_length.set(static_cast<std::uint8_t>(s.name.size()));
  std::memcpy(disk.name, s.name.data(), std::min(s.name.size(), sizeof disk.name));
  return disk;
}

Result<Snapshot> decode_entry(const SnapshotDisk& disk, const Superblock& superblock) {
  Snapshot s;
  s.id = SnapshotId(disk.id.get());
  std::memcpy(s.uuid.bytes.data(), disk.uuid, sizeof disk.uuid);
  s.created = disk.created.get();
  s.deleted_up_to = Chunk(disk.deleted_up_to.get());
  s.bit = disk.bit.get();
  s.deleting = (disk.flags.get() & kSnapshotDeleting) != 0;
  s.written = (disk.flags.get() & kSnapshotWritten) != 0;
  if (disk.flags.get() & ~(kSnapshotDeleting | kSnapshotWritten | kSnapshotReceived))
    return bad("unknown flags");
  if (disk.name_length.get() > kMaxSnapshotName) return bad("a name of more than 64 bytes");
  s.name.assign(disk.name, disk.name_length.get());
  if (s.id >= superblock.next_snapshot) return bad("an id that was not given yet");
  if (s.deleted_up_to.value > superblock.origin_chunks()) return bad("deleted beyond the origin");
  s.transid = disk.transid.get();
  if (s.transid < s.id.value || s.transid >= superblock.next_snapshot.value)
    return bad("a transid that cannot be");
  if (disk.flags.get() & kSnapshotReceived) {
    const std::size_t length = disk.path_length.get();
    const std::string_view path(disk.path, std::min(length, sizeof disk.path));
    if (length > sizeof disk.path || !check_stream_path(path).ok() || s.written)
      return bad("an impossible origin in a stream");
    s.received = {decode_identity(disk.received), std::string(path)};
  }
  return s;
}

ClientDisk encode_entry(const ClientEntry& c) {
  ClientDisk disk{};
  std::memcpy(disk.id, c.id.bytes.data(), sizeof disk.id);
  disk.volume.set(c.volume.value);
  for (std::size_t i = 0; i < kMaxPools; ++i) {
    if (c.pools[i].count == 0) continue;
    assert(c.pools[i].count <= UINT32_MAX);
    disk.pools[i].start.set(c.pools[i].start.value);
    disk.pools[i].count.set(static_cast<std::uint32_t>(c.pools[i].count));
  }
  return disk;
}

Result<ClientEntry> decode_entry(const ClientDisk& disk, const Superblock& superblock) {
  ClientEntry c;
  std::memcpy(c.id.bytes.data(), disk.id, sizeof disk.id);
  c.volume = SnapshotId(disk.volume.get());
  if (c.volume >= superblock.next_snapshot) return bad("a snapshot id that was not given yet");
  for (std::size_t i = 0; i < kMaxPools; ++i) {
    const std::uint64_t count = disk.pools[i].count.get();
    if (count == 0) continue;
    c.pools[i] = {StoreChunk(disk.pools[i].start.get()), count};
    if (c.pools[i].start < superblock.first_chunk() ||
        c.pools[i].end().value > superblock.store_chunks())
      return bad("a pool outside the store");
  }
  return c;
}

// Writes entries back to back into the area's blocks, leaving alone those that say it already.
template <class Disk, class Entries>
Status encode_area(BlockCache& cache, BlockKind kind, BlockAddress start, std::uint64_t blocks,
                   const Entries& entries) {
  constexpr std::size_t kPerBlock = kBlockPayload / sizeof(Disk);
  if (entries.size() > blocks * kPerBlock)
    return Status(Code::no_space, std::string("the ") + kind_name(kind) + " table is full");
  for (std::uint64_t b = 0; b < blocks; ++b) {
    std::array<Disk, kPerBlock> wanted{};
    for (std::size_t i = 0; i < kPerBlock && b * kPerBlock + i < entries.size(); ++i)
      wanted[i] = encode_entry(entries[b * kPerBlock + i]);
    const auto there = cache.read(start + b, kind);
    if (there.ok() && std::memcmp(there->data() + sizeof(BlockHeader), &wanted, sizeof wanted) == 0)
      continue;
    std::memcpy(cache.create(start + b, kind).data() + sizeof(BlockHeader), &wanted, sizeof wanted);
  }
  return {};
}

// Hands the entries in use of one block to add(); `ended`: an unused one came before.
template <class Disk, class Add>
Status decode_block(ConstBlock block, std::uint64_t first, bool& ended, const std::string& name,
                    const Superblock& superblock, Add add) {
  Status wrong;
  for (std::size_t i = 0; i < kBlockPayload / sizeof(Disk); ++i) {
    const auto bytes = block.subspan(sizeof(BlockHeader) + i * sizeof(Disk), sizeof(Disk));
    if (all_zero(bytes)) {
      ended = true;
      continue;
    }
    const auto& disk = view_as<Disk>(bytes);
    const std::string where = name + " table, entry " + std::to_string(first + i);
    Status status;
    if (ended) status = bad("in use after an unused one");
    auto entry = decode_entry(disk, superblock);
    if (!entry.ok()) status = entry.status();
    if (entry.ok()) {
      if (const Status added = add(std::move(*entry)); !added.ok()) status = bad(added.message());
    }
    if (wrong.ok() && !status.ok()) wrong = status.with_context(where);
  }
  return wrong;
}

// Hands every entry in use to add(); those in use come first.
template <class Disk, class Add>
Status decode_area(BlockCache& cache, BlockKind kind, BlockAddress start, std::uint64_t blocks,
                   const Superblock& superblock, std::vector<TableFault>* faults, Add add) {
  constexpr std::size_t kPerBlock = kBlockPayload / sizeof(Disk);
  std::vector<BlockAddress> addresses;
  for (std::uint64_t b = 0; b < blocks; ++b) addresses.push_back(start + b);
  cache.fetch_all(addresses);
  bool ended = false;
  for (std::uint64_t b = 0; b < blocks; ++b) {
    Status status = cache.fetch_sync(start + b);
    if (status.ok()) {
      const auto block = cache.read(start + b, kind);
      status = block.ok() ? decode_block<Disk>(*block, b * kPerBlock, ended, kind_name(kind),
                                               superblock, add)
                          : block.status();
    }
    if (status.ok()) continue;
    if (!faults) return status;
    faults->push_back({start + b, kind, status.message()});
    ended = false;  // what was lost may have been in use
  }
  return {};
}

}  // namespace

Status SnapshotTable::encode(BlockCache& cache, const Superblock& superblock) const {
  return encode_area<SnapshotDisk>(cache, BlockKind::snapshots, superblock.snapshots,
                                   superblock.snapshot_blocks, snapshots_);
}

Result<SnapshotTable> SnapshotTable::decode(BlockCache& cache, const Superblock& superblock,
                                            std::vector<TableFault>* faults) {
  SnapshotTable table;
  CSNAP_TRY(decode_area<SnapshotDisk>(cache, BlockKind::snapshots, superblock.snapshots,
                                      superblock.snapshot_blocks, superblock, faults,
                                      [&](Snapshot s) { return table.add(std::move(s)); }));
  return table;
}

std::size_t ClientTable::capacity_of(const Superblock& superblock) {
  return (superblock.client_blocks - 1) * kClientsPerBlock;
}

Status ClientTable::encode(BlockCache& cache, const Superblock& superblock) const {
  return encode_area<ClientDisk>(cache, BlockKind::clients, superblock.clients,
                                 superblock.client_blocks - 1, clients_);
}

Result<ClientTable> ClientTable::decode(BlockCache& cache, const Superblock& superblock,
                                        std::vector<TableFault>* faults) {
  ClientTable table(capacity_of(superblock));
  CSNAP_TRY(decode_area<ClientDisk>(cache, BlockKind::clients, superblock.clients,
                                    superblock.client_blocks - 1, superblock, faults,
                                    [&](const ClientEntry& c) { return table.add(c); }));
  return table;
}

Status encode_replication(const Replication& replication, BlockCache& cache,
                          const Superblock& superblock) {
  const BlockAddress block = superblock.clients + (superblock.client_blocks - 1);
  std::array<std::byte, kBlockPayload> wanted{};
  encode_replication(replication, std::span(wanted).first(kReplicationBytes));
  const auto there = cache.read(block, BlockKind::clients);
  if (there.ok() &&
      std::memcmp(there->data() + sizeof(BlockHeader), wanted.data(), wanted.size()) == 0)
    return {};
  std::memcpy(cache.create(block, BlockKind::clients).data() + sizeof(BlockHeader), wanted.data(),
              wanted.size());
  return {};
}

Result<Replication> decode_replication(BlockCache& cache, const Superblock& superblock,
                                       std::vector<TableFault>* faults) {
  const BlockAddress address = superblock.clients + (superblock.client_blocks - 1);
  const auto decode = [&]() -> Result<Replication> {
    CSNAP_TRY(cache.fetch_sync(address));
    CSNAP_ASSIGN(const ConstBlock block, cache.read(address, BlockKind::clients));
    return decode_replication(block.subspan(sizeof(BlockHeader), kReplicationBytes));
  };
  auto decoded = decode();
  if (decoded.ok() || !faults) return decoded;
  faults->push_back({address, BlockKind::clients, decoded.status().message()});
  return Replication();
}

}  // namespace csnap
