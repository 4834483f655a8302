// SPDX-License-Identifier: Apache-2.0
// Fills a fresh store with exceptions of one chunk each, none of which joins another, without their
// data: a store of many exceptions in little time, for measuring. Usage: csnap_big_store STORE NUMBER
#include <cstdio>
#include <cstdlib>
#include <string>

#include "server/offline.h"
#include "store/open_device.h"

namespace {

using namespace csnap;

constexpr std::size_t kCache = 256u << 20;
constexpr unsigned kSnapshots = 4;
constexpr std::uint64_t kPerEdit = 64;

Status fill(OfflineStore& store, std::uint64_t exceptions) {
  StoreState& state = store.state();
  std::vector<StoreRun> freed;
  for (unsigned bit = 0; bit < kSnapshots; ++bit) {
    SnapshotCreated record;
    record.id = SnapshotId(bit + 1);
    record.uuid = Uuid::from_random(bit, bit);
    record.name = "s" + std::to_string(bit);
    record.bit = static_cast<std::uint8_t>(bit);
    CSNAP_TRY(store.edit([&] { return state.apply(record, freed); }));
  }
  const StoreChunk first = state.superblock().first_chunk();
  std::uint64_t place = first.value;
  for (std::uint64_t i = 0; i < exceptions;) {
    const std::uint64_t end = std::min(exceptions, i + kPerEdit);
    const Status status = store.edit([&]() -> Status {
      while (i < end) {
        ExceptionAdded record;
        record.chunk = Chunk(2 * i);
        // The tree takes blocks for itself where it likes.
        for (;; ++place) {
          CSNAP_ASSIGN(const bool used, state.data().is_used(StoreChunk(place)));
          if (!used && !state.data().is_held(StoreChunk(place))) break;
        }
        record.store = StoreChunk(place);
        record.mask = 1 + i / 7 % ((1u << kSnapshots) - 1);
        record.crcs = {1};
        CSNAP_TRY(state.apply(record, freed));
        ++place;
        ++i;
      }
      return {};
    });
    CSNAP_TRY(status);
  }
  return store.finish();
}

Status run(const char* path, std::uint64_t exceptions) {
  CSNAP_ASSIGN(const auto device, open_device(path, OpenMode::read_write));
  CSNAP_ASSIGN(const auto store, OfflineStore::open(*device, nullptr, kCache, "csnap_big_store"));
  return fill(*store, exceptions);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("Usage: csnap_big_store STORE NUMBER\n", stderr);
    return 2;
  }
  const csnap::Status status = run(argv[1], std::strtoull(argv[2], nullptr, 10));
  if (status.ok()) return 0;
  std::fprintf(stderr, "csnap_big_store: %s\n", status.to_string().c_str());
  return 1;
}
