// SPDX-License-Identifier: Apache-2.0
// One simulated history: a store, a server, clients and an administrator on simulated disks, a
// simulated network and a simulated clock; what goes wrong and what is done are drawn from one
// seed. Single-threaded; the same seed gives the same history, event for event.
//
// It judges as it goes: the model says what may be read (model.h), and these are looked at when
// they matter (the numbers are those of docs/ARCHITECTURE.md's invariants):
//   6  nobody writes where somebody reads under a grant that holds
//   7  epochs grow
//   8  no origin write while a snapshot reader holds the chunk
//   9  at a point in time no origin write is under way and no client remembers a unique chunk
//   10 errors are of a kind that what has happened explains
// and, each time the server is down, the store itself (world_check.cc): 1 to 5, and that sealed
// snapshots are what they were (world_seal.cc). The same of copies of the disks on which the power
// fails at this very moment, often (world_what_if.cc).
#pragma once

#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/store_state.h"
#include "store/superblock.h"
#include "store/tables.h"
#include "test/sim/admin.h"
#include "test/sim/client.h"
#include "test/sim/coverage.h"
#include "test/sim/disk.h"
#include "test/sim/model.h"
#include "test/sim/network.h"
#include "test/sim/profile.h"
#include "test/sim/server.h"

namespace csnap::sim {

class World {
 public:
  explicit World(std::uint64_t seed, bool tracing = false);
  ~World();

  void run();
  const std::string& violation() const { return violation_; }
  std::uint64_t hash() const { return hash_; }
  std::uint64_t operations() const { return operations_; }
  std::uint64_t crashes() const { return crashes_; }
  // The damage was reported, and that was the end.
  bool given_up() const { return given_up_; }
  std::uint64_t seals() const { return seals_; }  // new transids
  std::uint64_t seals_refused() const { return seals_refused_; }

 private:
  Random seeds_;

 public:
  // -- what the machines share -----------------------------------------------------------------
  const Profile profile;
  Scheduler scheduler;
  Coverage coverage;
  Random random;
  DiskContext context;
  std::unique_ptr<Disk> origin, store, metadata;
  Network network;
  Model model;
  Disk& metadata_disk() { return metadata ? *metadata : *store; }
  bool in_journal(std::uint64_t offset) const;

  void fail(const std::string& what);
  template <class F>
  void trace(F&& text) {
    if (tracing_) print(text());
  }
  void note(std::uint64_t what, std::uint64_t more = 0);  // into the hash

  // -- what they report (world.cc, world_judge.cc) ---------------------------------------------
  void client_io(Client& client);
  void message_of_server();
  void message_of_client(Client& client);
  void server_died();
  void client_died(Client& client);
  void client_opened(Client& client);
  void client_gone(Client& client, const Status& why);
  void client_disposed(Client& client);
  void action_done(Client& client, Action& action, const Status& status);
  void action_lost(Client& client, Action& action);
  void after_server_turn(Engine& engine);
  void check_server_io(const DiskPort& port, const IoRequest& request);
  // A request is on its way to the disk: what if everything died now? critical: more than usual may
  // go wrong. (world_what_if.cc)
  void what_if(const IoRequest& request, bool critical);
  // The server copies to this place: nothing that would be there after a crash may lie there.
  void check_place(StoreRun run);
  bool changing_snapshots() const {
    return coverage.under_way(Op::create) + coverage.under_way(Op::remove) > 0;
  }
  void check_origin_write(const Client& client, ChunkRun chunks);
  void check_client_store_write(const Client& client, StoreRun run);

 private:
  struct SnapshotState {
    SnapshotId id;
    std::set<std::string> names;  // one, or more while nobody knows whether a renaming happened
    bool created = false;         // somebody was told
    bool delete_asked = false, deleted = false;  // deleted: somebody was told
    bool renaming = false;
    Micros since = 0;  // of the last of these
  };
  using ClientPtr = std::shared_ptr<Client>;

  // world.cc
  void print(const std::string& text);
  void format();
  void age();  // world_age.cc
  void write_at_once(const std::vector<ChunkRun>& runs);
  void start_server();
  void stop_server();
  void power_cut();
  void watch();
  bool step();
  void end();
  bool settle(const char* what);

  // world_workload.cc
  void next_operation();
  void operate();
  void operate(Op op);
  void leave();
  Client* pick_client(bool origin, bool to_write = false);
  SnapshotState* pick_snapshot();
  SnapshotState* snapshot_called(SnapshotId id, const std::string& name);
  UnitRun pick_units(bool whole);
  void open_client();
  void write(bool to_origin);
  void read();
  void administrate();
  void administrate(Op op);
  void create();
  void remove();
  void rename();
  void seal();  // world_seal.cc
  void seal_when_left(SnapshotId id, unsigned patience);
  void ask_seal(SnapshotId id);
  void sealed(SnapshotId id, const Admin::Answer& answer);
  void look(Op op);
  void keep_looking();
  void calamity();
  void write_origin_flush();
  void check_list(const Admin::Answer& answer);

  // world_judge.cc
  void capture(Engine& engine);
  void reconcile();
  void judge_error(const std::string& what, const Status& status);
  void wrong_data(const std::string& what);

  // world_check.cc
  struct Media {
    std::shared_ptr<MemoryVolume> origin, store, metadata;  // metadata: null when on the store
  };
  Media media() const;
  void check_store(bool data);
  std::string check_recovered(const Media& media, Model& expected, bool data, bool checker = true);
  std::string check_unused(const Media& media, StoreRun run) const;
  std::string check_snapshots(const SnapshotTable& table) const;
  std::string check_transids(const StoreState& state) const;
  std::string check_content(const Snapshot& snapshot, std::uint64_t digest);

  const std::uint64_t seed_;
  const bool tracing_;
  Superblock plan_;
  std::string violation_;
  std::uint64_t hash_ = 14695981039346656037ULL;
  Server server_;
  Admin admin_;
  std::vector<ClientPtr> clients_;
  std::vector<ClientPtr> graveyard_;
  std::map<SnapshotId, SnapshotState> snapshots_;
  std::multiset<std::string> creating_;  // asked for, and not seen yet
  std::string being_asked_;              // the last of these
  SnapshotId asked_about_;               // the last to be deleted or renamed
  std::string renaming_to_;
  std::uint64_t next_name_ = 1, next_client_ = 1, incarnations_ = 0;
  std::uint64_t operations_ = 0, crashes_ = 0, seals_ = 0, seals_refused_ = 0;
  // Told of sealed snapshots: whose a transid is, and a digest of what it stands for, once known.
  std::map<std::uint64_t, SnapshotId> transids_;
  std::map<std::pair<SnapshotId, std::uint64_t>, std::optional<std::uint64_t>> contents_;
  Epoch last_epoch_;
  std::uint64_t read_up_to_ = 0;  // unit where the last read of a snapshot ends
  bool starting_ = false;         // a start is scheduled
  bool done_operating_ = false;
  bool given_up_ = false;
  bool lied_ = false;              // a power cut met a disk that had lied
  bool deleting_happens_ = false;  // sessions may find their volume gone, or called otherwise
  std::string wrong_at_rest_;
  Random what_if_random_;
};

}  // namespace csnap::sim
