// SPDX-License-Identifier: Apache-2.0
// Recovery of a store whose journal holds any records as good commits: it is refused, or comes up
// with a sound tree, and a server that opens it closes it in order.
//   u8 flags (1: open it with an engine, too), then commits: {u16 bytes of records, records}.
#include "journal/records.h"
#include "server/engine.h"
#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

struct Silent : EngineEvents {
  void barrier_begin(ClientKey, std::uint64_t) override {}
  void barrier_end(ClientKey, std::uint64_t) override {}
  void evict(ClientKey, const std::string&) override {}
  void copy(ClientKey, const CopyOrder&) override {}
  void log(Level, const std::string&) override {}
};

void open_and_close(std::shared_ptr<MemoryVolume> volume) {
  Silent events;
  EngineDevices devices;
  devices.origin = std::make_unique<MemoryDevice>(
      std::make_shared<MemoryVolume>("origin", fuzz::kOriginChunks * kBlockSize));
  devices.store = std::make_unique<MemoryDevice>(volume);
  EngineOptions options;
  options.cache_bytes = 1u << 20;
  options.holder = "fuzz";
  auto engine = Engine::open(std::move(devices), options, events);
  if (!engine.ok()) return;
  for (std::uint64_t turn = 1; turn < 200 && !(*engine)->idle(); ++turn) {
    (*engine)->tick(turn, turn);
    (*engine)->poll();
    (*engine)->end_turn();
  }
  fuzz::require_ok((*engine)->close(), "closing");
}

}  // namespace

FUZZ_TARGET(recovery) {
  const unsigned flags = input.u8();
  std::vector<std::vector<std::byte>> commits;
  while (!input.empty() && commits.size() < 32) {
    const auto records = input.bytes(input.u16());
    commits.emplace_back(records.begin(), records.end());
  }
  const auto volume = fuzz::killed_store(commits);
  fuzz::check_recovered(volume);
  if ((flags & 1) == 0) return;
  open_and_close(volume);
  fuzz::check_recovered(volume);
}
