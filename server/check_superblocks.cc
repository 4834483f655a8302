// SPDX-License-Identifier: Apache-2.0
// The superblock's two copies, and the devices that it speaks of.
#include <array>
#include <optional>

#include "server/check_impl.h"
#include "server/repair.h"
#include "store/aligned_buffer.h"

namespace csnap {

Result<bool> StoreCheck::look_at_superblocks() {
  progress("superblocks", 0, 1);
  auto found = read_superblock(metadata_);
  if (!found.ok()) {
    const Status& why = found.status();
    if (why.code() != Code::corrupt && why.code() != Code::io_error) return why;
    return superblock_from_journal(why);
  }
  on_disk_ = *found;
  report_.superblock = on_disk_;
  if (on_disk_.is_copy()) {
    if (options_.data)
      return Status(Code::invalid, metadata_.name() +
                                       " is a copy of metadata, made by csnap-check --to; it has "
                                       "no data to be compared");
    add(CheckArea::superblock, Severity::note, {},
        "this is a copy of a store's metadata, without its data");
  }
  std::array<std::optional<Superblock>, 2> copies;
  for (const BlockAddress address : {kSuperblockA, kSuperblockB}) {
    auto& copy = copies[address == kSuperblockB];
    AlignedBuffer block(kBlockSize);
    Status status = read_sync(metadata_, address.value * kBlockSize, block.span());
    if (status.ok()) {
      auto decoded = decode_superblock(block.span(), address);
      if (decoded.ok()) copy = std::move(*decoded);
      status = decoded.status();
    }
    if (!status.ok())
      add(CheckArea::superblock, Severity::damage, address,
          "this copy is damaged, the other one is used: " + status.message());
  }
  // Between A and B a crash may come, also when the store is being closed.
  if (copies[0] && copies[1] && *copies[0] != *copies[1])
    add(CheckArea::superblock, Severity::note, *copies[0] == on_disk_ ? kSuperblockB : kSuperblockA,
        "this copy is older than the other one: a crash came between the two");
  if (on_disk_.repairing)
    add(CheckArea::superblock, Severity::damage, {},
        "a repair or restore of this store was begun and not finished");
  return true;
}

// Goes on as a repair would.
Result<bool> StoreCheck::superblock_from_journal(const Status& why) {
  Finding& finding = add(CheckArea::superblock, Severity::damage, {}, why.message());
  if (why.code() != Code::corrupt) return false;
  const auto found = find_superblock_in_journal(store_, metadata_);
  if (!found.ok()) {
    finding.text += "; and " + found.status().message() + ". Restore the metadata from a dump";
    return false;
  }
  finding.text += "; the one of checkpoint " + std::to_string(found->checkpoint.value) +
                  " is in the journal, and a repair puts it back";
  on_disk_ = *found;
  report_.superblock = on_disk_;
  return true;
}

Result<bool> StoreCheck::look_at_devices() {
  const Status status = check_devices(on_disk_, store_, separate_);
  if (status.ok()) return true;
  if (status.code() == Code::invalid) return status;
  const bool small = store_.size() / kBlockSize < on_disk_.data.blocks ||
                     metadata_.size() / kBlockSize < on_disk_.metadata_space().blocks;
  add(small ? CheckArea::superblock : CheckArea::data_label, Severity::damage, {},
      status.message());
  return !small;
}

}  // namespace csnap
