// SPDX-License-Identifier: Apache-2.0
// A store in memory with an engine on it, and clients that do what libcsnap does, only at once:
// when a grant comes they write or read the medium before anything else happens. Every chunk is
// filled with one 64-bit tag, so that the model of a volume is a tag per chunk.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "server/engine.h"
#include "store/fault_device.h"
#include "store/memory_device.h"

namespace csnap {

// Fails the test with a sentence.
void require(bool holds, const std::string& what);

struct RigOptions {
  std::uint64_t origin_chunks = 256;
  std::uint64_t store_bytes = 16u << 20;
  unsigned chunk_shift = 12;
  std::uint64_t journal_bytes = 256u << 10;
  bool separate_metadata = false;
  std::size_t cache_bytes = 1u << 20;
  std::uint64_t max_held_runs = 65536;
  std::uint64_t seed = 1;
  bool client_copies = false;                         // every client makes the copies that it needs
  std::function<std::uint64_t()> clock_us = nullptr;  // EngineOptions::clock_us
};

class Rig : public EngineEvents {
 public:
  using Tags = std::vector<std::uint64_t>;

  explicit Rig(RigOptions options = {});
  ~Rig() override;

  // -- the server ------------------------------------------------------------------------------
  Status try_open();
  void open();       // asserts that it went well; clients of before come back
  void close();      // in order
  void kill();       // as kill -9: what was submitted reaches the medium
  void power_cut();  // unflushed writes are kept, lost or torn by the rig's seed
  Engine& engine() { return *engine_; }
  bool is_open() const { return engine_ != nullptr; }
  // Polls until the condition holds; fails the test when nothing moves any more.
  void until(const std::function<bool()>& condition);
  void until_idle();

  // -- clients ---------------------------------------------------------------------------------
  ClientKey client(SnapshotId volume);  // opened when first asked for
  void drop_client(SnapshotId volume);
  // Asks; the data is moved and the model changed when the grant comes. done is told how it went.
  using Told = std::function<void(const Status&)>;
  void write_origin(ChunkRun run, std::uint64_t tag, Told done = {});
  void write_snapshot(SnapshotId id, ChunkRun run, std::uint64_t tag, bool overwrite,
                      Told done = {});
  void read_snapshot(SnapshotId id, ChunkRun run, Told done = {});  // compares with the model
  // The same, waiting for the answer.
  Status write_origin_now(ChunkRun run, std::uint64_t tag);
  Status write_snapshot_now(SnapshotId id, ChunkRun run, std::uint64_t tag, bool overwrite);
  Result<Snapshot> create(const std::string& name);
  Status remove(const std::string& name, bool force = true);

  // The same without waiting: a crash may come first, and then either outcome is right.
  void start_create(const std::string& name, std::optional<Uuid> receiver = std::nullopt);
  void start_remove(const std::string& name);
  void turns(std::uint64_t n);  // whatever can happen in so many

  // Every chunk of every volume equals the model.
  void check_all();
  std::string check_store();  // the invariants of the store itself; empty when they hold

  std::map<SnapshotId, Tags>& model() { return model_; }
  std::uint64_t mismatches() const { return mismatches_; }
  const std::vector<std::string>& logged() const { return logged_; }
  std::shared_ptr<MemoryVolume> origin, store, metadata;
  std::shared_ptr<FaultPlan> faults;  // governs the engine's devices when it is opened next
  RigOptions options;
  bool answer_barriers = true;
  std::vector<std::pair<ClientKey, std::uint64_t>> barriers;  // not answered yet
  bool answer_copies = true;
  std::vector<std::pair<ClientKey, CopyOrder>> copies;  // not answered yet
  // Does what the order says, at once; the checksums.
  std::vector<std::uint32_t> make_copy(const CopyOrder& order);

  void barrier_begin(ClientKey client, std::uint64_t barrier) override;
  void barrier_end(ClientKey client, std::uint64_t barrier) override;
  void evict(ClientKey client, const std::string& why) override;
  void copy(ClientKey client, const CopyOrder& order) override;
  void log(Level level, const std::string& text) override;

 private:
  void fill(MemoryVolume& volume, std::uint64_t chunk, std::uint64_t tag);
  std::uint64_t tag_at(const MemoryVolume& volume, std::uint64_t chunk);
  void finish_overwrite(SnapshotId id, std::vector<WritePiece> pieces, ChunkRun run,
                        std::uint64_t tag, Told done);
  void set_model(SnapshotId volume, ChunkRun run, std::uint64_t tag);
  void reconcile();
  bool equals(SnapshotId id, std::uint64_t chunk, std::uint64_t tag);
  bool has_checksum(const ReadPiece& piece, std::uint64_t n) const;
  Superblock plan_;
  // Asked and not answered; what a crash may have done or left.
  struct Write {
    SnapshotId id;
    ChunkRun run;
    std::uint64_t tag = 0;
  };
  void maybe_written(const Write& write);
  std::map<std::uint64_t, Write> writing_;
  std::uint64_t next_write_ = 1;
  std::set<std::string> creating_, removing_;
  std::map<std::pair<SnapshotId, std::uint64_t>, std::set<std::uint64_t>> maybe_;
  std::unique_ptr<Engine> engine_;
  MemoryDevice* devices_[3] = {nullptr, nullptr, nullptr};
  std::map<SnapshotId, Tags> model_;
  std::map<SnapshotId, ClientKey> clients_;
  std::map<SnapshotId, Uuid> ids_;
  std::deque<std::function<void()>> todo_;
  std::mt19937_64 rng_;
  std::uint64_t mismatches_ = 0;
  std::uint64_t now_ms_ = 0;
  std::vector<std::string> logged_;
};

}  // namespace csnap
