// SPDX-License-Identifier: Apache-2.0
// Reads a dump line by line and believes nothing: order, ids, masks and totals must be those of a
// store that could be. What a line says of the devices is for whoever has them (restore.h).
// Threading: one thread.
// Errors: corrupt, with the number of the line; those of the input.
#pragma once

#include <optional>
#include <string>

#include "server/dump_text.h"

namespace csnap {

// Where lines come from.
class DumpInput {
 public:
  virtual ~DumpInput() = default;
  // The next line, without its newline; false at the end. corrupt for one of more than kMaxDumpLine
  // bytes.
  virtual Result<bool> next(std::string& line) = 0;
  // The first line is next again.
  virtual Status rewind() = 0;
};

class DumpReader {
 public:
  // Reads the header. The input is the caller's.
  static Result<DumpReader> open(DumpInput& input);

  const DumpHeader& header() const { return header_; }
  // What the header says, as a store with nothing in it: sound by check_superblock().
  const Superblock& plan() const { return plan_; }
  // The tables as far as they were read: whole when the first exception was.
  const SnapshotTable& snapshots() const { return snapshots_; }
  const ClientTable& sessions() const { return sessions_; }
  const Replication& replication() const { return header_.replication; }
  const DumpTotals& totals() const { return totals_; }
  // Of all lines up to now: the same text has the same.
  std::uint32_t fingerprint() const { return fingerprint_; }
  // A failure that concerns the line that was read last.
  Status at_line(const Status& status) const;

  // The next exception; nullopt after the last line, which was as it should be and the last one.
  Result<std::optional<DumpException>> next();

 private:
  explicit DumpReader(DumpInput& input) : input_(&input), sessions_(0) {}
  Result<bool> read_line();
  Status read_header();
  Status take(Snapshot snapshot);
  Status take(const ClientEntry& session);
  Status take(const DumpException& exception);
  Status check_masks(const DumpException& exception);
  Status finish(const DumpTotals& told);

  DumpInput* input_;
  std::string line_;
  std::uint64_t number_ = 0;  // of the line that was read last, from 1
  std::uint32_t fingerprint_ = 0;
  DumpHeader header_;
  Superblock plan_;
  SnapshotTable snapshots_;
  ClientTable sessions_;
  DumpTotals totals_;
  // The segment that the last exception belongs to.
  ChunkRun segment_{Chunk(0), 0};
  ShareMask segment_mask_ = 0;  // of all exceptions in it
  ShareMask last_mask_ = 0;
};

}  // namespace csnap
