// SPDX-License-Identifier: Apache-2.0
// damage_store: damages a store that nobody has open. For tests.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

#include "store/open_device.h"
#include "test/damage/damage.h"

namespace {

using namespace csnap;

int usage(std::FILE* to, int code) {
  std::string text =
      "Usage: damage_store DAMAGE TARGET SEED STORE [METADATA]\n"
      "Damages one block of a sound store that nobody has open, and says which.\n\n"
      "DAMAGE    what is done to the block:";
  for (const Damage damage : kDamages) text += std::string(" ") + name_of(damage);
  text += "\nTARGET    what the block is:";
  for (const Target target : kTargets) text += std::string(" ") + name_of(target);
  text +=
      "\nSEED      a number; chooses among the blocks that are such, and the bytes\n"
      "STORE     the device or file with the store; it is changed\n"
      "METADATA  that with its metadata, if it is not on STORE\n\n"
      "Exit codes: 0 done, 1 failed, 2 wrong command line.\n"
      "Example: damage_store zero leaf 1 copy-of.store\n";
  std::fputs(text.c_str(), to);
  return code;
}

Status run(Damage damage, Target target, std::uint64_t seed, const std::string& store_path,
           const std::string& metadata_path) {
  CSNAP_ASSIGN(auto store, open_device(store_path, OpenMode::read_write));
  std::unique_ptr<Device> metadata;
  if (!metadata_path.empty()) {
    CSNAP_ASSIGN(metadata, open_device(metadata_path, OpenMode::read_write));
  }
  CSNAP_ASSIGN(const StoreMap map, StoreMap::of(*store, metadata.get()));
  const auto& blocks = map.blocks(target);
  std::mt19937_64 rng(seed);
  if (blocks.empty()) return Status(Code::not_found, "the store has no such block");
  const BlockAddress block = blocks[rng() % blocks.size()];
  BlockAddress other = block;
  if (damage == Damage::swap || damage == Damage::duplicate) {
    if (blocks.size() < 2) return Status(Code::not_found, "the store has only one such block");
    while (other == block) other = blocks[rng() % blocks.size()];
  }
  Device& device = metadata && !StoreMap::on_store_device(target) ? *metadata : *store;
  CSNAP_TRY(damage_block(device, damage, block, other, rng()));
  std::printf("%s of %s block %llu\n", name_of(damage), name_of(target),
              static_cast<unsigned long long>(block.value));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && (argv[1] == std::string("--help") || argv[1] == std::string("-h")))
    return usage(stdout, 0);
  if (argc < 5 || argc > 6) return usage(stderr, 2);
  for (const Damage damage : kDamages)
    for (const Target target : kTargets) {
      if (argv[1] != std::string(name_of(damage)) || argv[2] != std::string(name_of(target)))
        continue;
      const Status status = run(damage, target, std::strtoull(argv[3], nullptr, 10), argv[4],
                                argc > 5 ? argv[5] : "");
      if (!status.ok()) std::fprintf(stderr, "damage_store: %s\n", status.to_string().c_str());
      return status.ok() ? 0 : 1;
    }
  return usage(stderr, 2);
}
