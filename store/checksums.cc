// SPDX-License-Identifier: Apache-2.0
#include "store/checksums.h"

#include <algorithm>
#include <cassert>
#include <string>

#include "store/growth.h"

namespace csnap {
namespace {

Le32& slot(MutableBlock block, std::uint64_t index) {
  return view_as<Le32>(block.subspan(sizeof(BlockHeader) + index % kChecksumsPerBlock * 4));
}

}  // namespace

ChecksumTable::ChecksumTable(BlockCache& cache, Superblock& superblock)
    : cache_(cache), superblock_(superblock) {}

Result<std::uint64_t> ChecksumTable::first_index(StoreRun run) const {
  const std::uint64_t first = superblock_.first_chunk().value;
  const std::uint64_t chunks = superblock_.store_chunks();
  if (run.start.value < first || run.start.value > chunks || run.count > chunks - run.start.value)
    return Status(Code::corrupt, "store chunk " + std::to_string(run.start.value) + ", " +
                                     std::to_string(run.count) + " long, cannot hold data");
  return run.start.value - first;
}

Status ChecksumTable::prepare(StoreRun run) {
  CSNAP_ASSIGN(const std::uint64_t index, first_index(run));
  if (run.count == 0) return {};
  const std::uint64_t last = (index + run.count - 1) / kChecksumsPerBlock;
  for (std::uint64_t b = index / kChecksumsPerBlock; b <= last && b < superblock_.checksums_ready;
       ++b)
    CSNAP_TRY(cache_.read(superblock_.checksums + b, BlockKind::checksums).status());
  return grow_area(cache_, BlockKind::checksums, superblock_.checksums, superblock_.checksums_ready,
                   last + 1);
}

Result<std::uint32_t> ChecksumTable::get(StoreChunk chunk) {
  CSNAP_ASSIGN(const std::uint64_t index, first_index({chunk, 1}));
  const std::uint64_t b = index / kChecksumsPerBlock;
  if (b >= superblock_.checksums_ready) return std::uint32_t{0};
  CSNAP_ASSIGN(const ConstBlock block,
               cache_.read(superblock_.checksums + b, BlockKind::checksums));
  return view_as<Le32>(block.subspan(sizeof(BlockHeader) + index % kChecksumsPerBlock * 4)).get();
}

template <class Value>
void ChecksumTable::put(StoreRun run, Value value) {
  const auto first = first_index(run);
  assert(first.ok());
  for (std::uint64_t i = 0; i < run.count;) {
    const std::uint64_t index = *first + i;
    const auto block =
        cache_.edit(superblock_.checksums + index / kChecksumsPerBlock, BlockKind::checksums);
    assert(block.ok());
    const std::uint64_t end =
        std::min(run.count, i + kChecksumsPerBlock - index % kChecksumsPerBlock);
    for (; i < end; ++i) slot(*block, *first + i).set(value(i));
  }
}

void ChecksumTable::set(StoreRun run, std::span<const std::uint32_t> crcs) {
  assert(crcs.size() == run.count);
  put(run, [&](std::uint64_t i) {
    assert(crcs[i] != 0);
    return crcs[i];
  });
}

void ChecksumTable::clear(StoreRun run) {
  put(run, [](std::uint64_t) { return std::uint32_t{0}; });
}

}  // namespace csnap
