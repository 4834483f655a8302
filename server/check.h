// SPDX-License-Identifier: Apache-2.0
// Is a store what it should be? Reads all of its metadata, and on request the data, and says what
// is wrong: where, what, and for what is lost which chunks of which snapshots. The same code serves
// csnap-check, the simulation and the tests.
//
// Nothing is written. What a crash left in the journal is replayed in memory, so a store needs no
// recovery before it is checked. Damage is a finding, not an error: an error means that the check
// could not be made (no store there, a device missing, an unknown feature).
// Threading: the devices' thread; blocks. No clock: whoever wants to know how far it is gives a
// callback. Nobody else may be changing the store.
// Memory: one bit for each chunk of the store, eight bytes for each block of the tree, what the
// journal holds, and some megabytes for reading.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "store/device.h"
#include "store/status.h"
#include "store/superblock.h"
#include "store/tables.h"
#include "store/types.h"

namespace csnap {

enum class CheckArea : std::uint8_t {
  superblock,
  data_label,
  journal,
  snapshots,
  clients,
  tree,
  bitmap,
  checksums,
  counts,
  data,
};
const char* area_name(CheckArea area);

enum class Severity : std::uint8_t {
  damage,
  leak,  // space that nobody uses and nobody can have; harmless
  note,  // worth knowing, nothing wrong
};
const char* severity_name(Severity severity);

// Chunks whose content these snapshots have lost, or may have.
struct LostRange {
  ChunkRun chunks;
  ShareMask mask = 0;
  std::vector<std::string> snapshots;  // names; those being deleted are left out
};

// "chunk 7", "chunks 7 to 9".
std::string to_string(const ChunkRun& chunks);

struct Finding {
  CheckArea area = CheckArea::tree;
  Severity severity = Severity::damage;
  std::optional<BlockAddress> block;  // of the metadata device
  std::string text;
  std::vector<LostRange> lost;
};
// "tree, block 4711: ... Lost: chunks 0 to 99 of monday, tuesday." One line.
std::string to_string(const Finding& finding);

struct CheckCounts {
  std::uint64_t commits = 0, records = 0;  // replayed
  std::uint64_t snapshots = 0, clients = 0;
  std::uint64_t leaves = 0, nodes = 0;
  std::uint64_t entries = 0;        // of leaves
  std::uint64_t exceptions = 0;     // store chunks that hold one
  std::uint64_t lost_chunks = 0;    // marked as lost by an earlier repair
  std::uint64_t leaked_blocks = 0;  // in use for nothing
  std::uint64_t data_chunks = 0;    // whose data was compared with its checksum
  std::uint64_t unverifiable = 0;   // exceptions without a checksum; only counted with the data
};

struct CheckReport {
  Superblock superblock;  // after replay; empty when there is none to be trusted
  std::vector<Snapshot> snapshots;
  std::vector<Finding> findings;  // by area and block
  // What nobody can say any more, and no repair brings back or marks: for whoever reads on.
  std::vector<std::string> doubts;
  CheckCounts counts;
  // Without that the rest could not be looked at: no superblock, a device too small.
  bool complete = true;

  bool damaged() const;
  std::size_t number_of(Severity severity) const;
};

struct CheckOptions {
  bool data = false;     // compare the data of exceptions with its checksums
  bool has_data = true;  // false: the store device is an image without data
  std::size_t cache_bytes = 4u << 20;
  // What is being looked at ("tree", "bitmaps", ...), and how far that is; total may be a guess.
  std::function<void(const char* what, std::uint64_t done, std::uint64_t total)> progress;
};

// metadata: null when it is on the store device.
Result<CheckReport> check_store(Device& store, Device* metadata, const CheckOptions& options = {});

}  // namespace csnap
