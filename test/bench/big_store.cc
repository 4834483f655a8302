// SPDX-License-Identifier: Apache-2.0
// Fills a fresh store with exceptions of one chunk each, none of which joins another, without their
// data: a store of many exceptions in little time, for measuring. Usage: csnap_big_store STORE
// NUMBER
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

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
  for (std::uint64_t i = 0; i < exceptions;) {
    Result<StoreRun> places = StoreRun();
    CSNAP_TRY(store.edit([&] {
      places = state.data().reserve_chunks(std::min(kPerEdit, exceptions - i), 0);
      return places.status();
    }));
    StoreChunk place = places->start;
    const Status status = store.edit([&]() -> Status {
      for (; place < places->end(); ++place, ++i) {
        ExceptionAdded record;
        record.chunk = Chunk(2 * i);
        record.store = place;
        record.mask = 1 + i / 7 % ((1u << kSnapshots) - 1);
        record.crcs = {1};
        CSNAP_TRY(state.apply(record, freed));
      }
      return {};
    });
    CSNAP_TRY(status);
    state.data().unreserve(*places);
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
  const bool help = argc == 2 && argv[1] == std::string_view("--help");
  if (argc != 3) {
    std::fputs(
        "Usage: csnap_big_store STORE NUMBER\n"
        "Fills the store on STORE, which nobody has open, with NUMBER exceptions.\n",
        help ? stdout : stderr);
    return help ? 0 : 2;
  }
  const csnap::Status status = run(argv[1], std::strtoull(argv[2], nullptr, 10));
  if (status.ok()) return 0;
  std::fprintf(stderr, "csnap_big_store: %s\n", status.to_string().c_str());
  return 1;
}
