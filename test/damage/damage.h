// SPDX-License-Identifier: Apache-2.0
// Damages a store on purpose: chosen blocks, by kind, in ways that disks and people do it.
// Threading: the devices' thread; blocks. Nobody else uses the store.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "store/device.h"
#include "store/status.h"
#include "store/types.h"

namespace csnap {

enum class Damage : std::uint8_t {
  flip,       // one bit
  zero,       // the whole block
  swap,       // with another of its kind
  duplicate,  // another of its kind is written over it
};
enum class Target : std::uint8_t {
  superblock_a,
  superblock_b,
  superblocks,  // both at once
  data_label,
  snapshots,
  clients,
  bitmap,
  checksums,
  commit,   // first block of a commit that recovery needs
  journal,  // another block of it
  leaf,
  node,  // not the root
  root,
  data,  // of an exception
};
inline constexpr std::array kDamages{Damage::flip, Damage::zero, Damage::swap, Damage::duplicate};
inline constexpr std::array kTargets{
    Target::superblock_a, Target::superblock_b, Target::superblocks, Target::data_label,
    Target::snapshots,    Target::clients,      Target::bitmap,      Target::checksums,
    Target::commit,       Target::journal,      Target::leaf,        Target::node,
    Target::root,         Target::data};
const char* name_of(Damage damage);
const char* name_of(Target target);

// Where what lies.
class StoreMap {
 public:
  // metadata: null when it is on the store device. The store must be sound.
  static Result<StoreMap> of(Device& store, Device* metadata);

  // Blocks of the metadata device; of the store device for data and the data label.
  const std::vector<BlockAddress>& blocks(Target target) const {
    return blocks_[static_cast<std::size_t>(target)];
  }
  static bool on_store_device(Target target) {
    return target == Target::data || target == Target::data_label;
  }

 private:
  std::vector<BlockAddress>& list(Target target) {
    return blocks_[static_cast<std::size_t>(target)];
  }
  std::array<std::vector<BlockAddress>, kTargets.size()> blocks_;
};

// Damages `block`; `other` is the other one, for swap and duplicate. bit: which one to flip.
Status damage_block(Device& device, Damage damage, BlockAddress block, BlockAddress other,
                    std::uint64_t bit);

}  // namespace csnap
