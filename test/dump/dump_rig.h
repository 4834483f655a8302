// SPDX-License-Identifier: Apache-2.0
// A store with a history, dumped to text and restored from it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "server/dump.h"
#include "server/restore.h"
#include "test/engine/rig.h"

namespace csnap {

// Lines of a text in memory.
class TextInput : public DumpInput {
 public:
  explicit TextInput(std::string text) : text_(std::move(text)) {}
  Result<bool> next(std::string& line) override;
  Status rewind() override;
  unsigned rewinds = 0;
  std::function<void(std::string& text)> on_second_pass;

 private:
  std::string text_;
  std::size_t at_ = 0;
};

class DumpRig : public Rig {
 public:
  explicit DumpRig(RigOptions with) : Rig(with) {}
  // Writes, snapshots, overwrites and a deletion, drawn from the rig's seed. Left open.
  // deleting: the deletion has only begun.
  void make_history(unsigned writes, bool deleting = true);

  Result<std::string> dump(DumpOptions with = {});
  std::string dump_text();  // asserts
  Result<Restored> restore(const std::string& text, std::size_t cache_bytes = 1u << 20);
  std::uint64_t wall_ns = 0;  // of restores
  // All that restore makes anew is overwritten with rubbish.
  void wipe_metadata();
  Superblock superblock();
  MemoryVolume& meta() { return metadata ? *metadata : *store; }
  std::uint64_t writes() const;  // that the devices have seen
  // Opens the store and compares all snapshots with the model.
  void compare_all();
};

std::vector<std::string> lines_of(const std::string& text);
std::string text_of(const std::vector<std::string>& lines);
// Without what restoring changes: epoch, sequence, next id, and whether snapshots were written to.
std::string comparable(const std::string& dump);

}  // namespace csnap
