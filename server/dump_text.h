// SPDX-License-Identifier: Apache-2.0
// The lines of a dump: what they say, and to and from text. docs/format/dump.md is the format.
// Pure: a line is judged by itself; what it means among the others is dump_reader.h's. Threading:
// any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "store/status.h"
#include "store/superblock.h"
#include "store/tables.h"
#include "store/types.h"

namespace csnap {

inline constexpr std::uint64_t kDumpVersion = 1;
inline constexpr std::size_t kMaxDumpLine = 16384;  // bytes, without the newline
inline constexpr std::uint64_t kMaxDumpRun = 256;   // chunks in one line

// All that is needed to make the store's fixed areas anew where they were.
struct DumpHeader {
  Uuid uuid;
  std::string label;
  Epoch epoch;
  Sequence sequence;  // of the last commit that is in the dump
  SnapshotId next_snapshot{1};
  Replication replication;
  std::uint64_t chunk_size = 0, origin_size = 0;  // bytes
  std::uint64_t store_size = 0;                   // bytes that the store uses of its device
  std::uint64_t metadata_size = 0;                // and of its metadata device; 0: there is none
  // Areas: first block, and number of blocks where that does not follow from the sizes.
  std::uint64_t data_reserved = 0, data_bitmap = 0;
  std::uint64_t metadata_reserved = 0, metadata_bitmap = 0;
  std::uint64_t snapshots = 0, snapshot_blocks = 0;
  std::uint64_t clients = 0, client_blocks = 0;
  std::uint64_t checksums = 0, checksum_blocks = 0;
  std::uint64_t journal = 0, journal_blocks = 0;
  bool operator==(const DumpHeader&) const = default;
};

struct DumpException {
  ChunkRun chunks;
  StoreChunk store;  // lost_store(chunks.start) when it is lost
  ShareMask mask = 0;
  std::vector<std::uint32_t> crcs;  // one a chunk, 0: none; empty when it is lost
  bool lost() const { return is_lost(store); }
  bool operator==(const DumpException&) const = default;
};

// The last line: by it a dump that was cut off is told.
struct DumpTotals {
  std::uint64_t snapshots = 0, sessions = 0;
  std::uint64_t exceptions = 0;  // lines
  std::uint64_t chunks = 0;      // of the store, in them
  std::uint64_t lost_chunks = 0;
  bool operator==(const DumpTotals&) const = default;
};

using DumpLine = std::variant<DumpHeader, Snapshot, ClientEntry, DumpException, DumpTotals>;

// With a newline at the end.
std::string dump_line(const DumpHeader& header);
std::string dump_line(const Snapshot& snapshot);
std::string dump_line(const ClientEntry& session);
std::string dump_line(const DumpTotals& totals);
// Written for millions of lines: appends.
void append_dump_line(const DumpException& exception, std::string& out);

// REQUIRES nothing of the text. corrupt when it is no line of a dump; unsupported when it is the
// header of a newer one.
Result<DumpLine> parse_dump_line(std::string_view text);

}  // namespace csnap
