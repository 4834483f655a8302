// SPDX-License-Identifier: Apache-2.0
#include "test/faults/operations.h"

namespace csnap {
namespace {

constexpr std::uint64_t kChunks = 64;  // of the origin
constexpr ChunkRun kRun{Chunk(4), 6};

RigOptions small(bool separate_metadata = false) {
  RigOptions options;
  options.origin_chunks = kChunks;
  options.store_bytes = 4u << 20;
  options.separate_metadata = separate_metadata;
  return options;
}

SnapshotId id_of(Rig& rig, const std::string& name) {
  const auto found = rig.engine().find_snapshot(name);
  require(found.ok(), found.status().to_string());
  return found->id;
}

void surely(const Status& status) {
  require(status.ok(), "preparing: " + status.to_string());
}

// An origin with content, and a snapshot of it that a client has open.
void with_snapshot(Rig& rig) {
  surely(rig.write_origin_now({Chunk(0), kChunks}, 1));
  surely(rig.create("a").status());
  rig.client(id_of(rig, "a"));
  rig.until_idle();
}

// The snapshot's chunks are in the store, and its own.
void with_exceptions(Rig& rig) {
  with_snapshot(rig);
  surely(rig.write_origin_now({Chunk(0), 16}, 2));
  rig.until_idle();
}

// The same, but another snapshot shares them.
void with_shared(Rig& rig) {
  with_snapshot(rig);
  surely(rig.create("b").status());
  rig.client(id_of(rig, "b"));
  surely(rig.write_origin_now({Chunk(0), 16}, 2));
  rig.until_idle();
}

// Until it was all done, or there is nothing more that the server can do.
void settle(Rig& rig) {
  rig.until([&] { return rig.engine().idle() || rig.engine().status().failed; });
  rig.turns(5);
}

void write_origin(Rig& rig) {
  bool told = false;
  rig.write_origin(kRun, 3, [&](const Status&) { told = true; });
  rig.until([&] { return told; });
  settle(rig);
}

std::function<void(Rig&)> write_snapshot(bool overwrite) {
  return [overwrite](Rig& rig) {
    bool told = false;
    rig.write_snapshot(id_of(rig, "a"), kRun, 3, overwrite, [&](const Status&) { told = true; });
    rig.until([&] { return told; });
    settle(rig);
  };
}

void create(Rig& rig) {
  rig.start_create("late");
  settle(rig);
}

// Many leaves, all of which hold a snapshot that is to go; part of what it has is shared.
void with_much_to_delete(Rig& rig) {
  const std::uint64_t chunks = rig.options.origin_chunks;
  surely(rig.write_origin_now({Chunk(0), chunks}, 1));
  surely(rig.create("early").status());
  for (std::uint64_t c = 0; c < chunks; c += 2) rig.write_origin({Chunk(c), 1}, 2 + c);
  rig.until_idle();
  surely(rig.create("a").status());
  surely(rig.write_origin_now({Chunk(0), chunks / 4}, 3));
  rig.client(id_of(rig, "a"));
  rig.until_idle();
}

RigOptions for_deletion() {
  RigOptions options = small();
  options.origin_chunks = 1200;
  options.store_bytes = 8u << 20;
  return options;
}

void remove(Rig& rig) {
  rig.start_remove("early");
  settle(rig);
}

void rename(Rig& rig) {
  bool told = false;
  rig.engine().rename_snapshot("a", "b", [&](const Status&) { told = true; });
  rig.until([&] { return told; });
  settle(rig);
}

// A snapshot that is its own in a few chunks, rewritten in place, and that nobody has open.
void with_written(Rig& rig) {
  with_snapshot(rig);
  const SnapshotId id = id_of(rig, "a");
  surely(rig.write_snapshot_now(id, kRun, 5, false));
  rig.drop_client(id);
  rig.until_idle();
}

void seal(Rig& rig) {
  rig.engine().seal_snapshot("a", [](const Result<Snapshot>&) {});
  settle(rig);
}

// Written to, as what it was; or not, as something else.
void sealed_or_not(Rig& rig) {
  const auto found = rig.engine().find_snapshot("a");
  require(found.ok(), found.status().to_string());
  require(found->written == (found->transid == found->id.value), "it is half sealed");
  require(found->transid < rig.engine().status().superblock.next_snapshot.value,
          "its transid will be used again");
}

UnfinishedReceive receive_of_late(bool undone = false) {
  UnfinishedReceive receiving;
  receiving.name = "late";
  receiving.identity = {Uuid::from_random(1, 2), 77};
  receiving.path = "volume.img";
  receiving.undone = undone;
  return receiving;
}

const Uuid kReceiver = Uuid::from_random(5, 7);

ClientKey open_receiver(Rig& rig) {
  std::optional<Result<ClientKey>> key;
  rig.engine().open_client(kReceiver, kOrigin, Engine::Access::receive,
                           [&](Result<ClientKey> opened) { key = std::move(opened); });
  rig.until([&] { return key.has_value(); });
  surely(key->status());
  return **key;
}

ClientKey say_receiving(Rig& rig, std::optional<UnfinishedReceive> receiving) {
  const ClientKey key = open_receiver(rig);
  bool told = false;
  rig.engine().set_receiving(kReceiver, std::move(receiving), [&](const Status& status) {
    surely(status);
    told = true;
  });
  rig.until([&] { return told; });
  return key;
}

// Somebody has the origin open to receive. The rig itself writes to nothing meanwhile.
void with_receiver(Rig& rig) {
  with_snapshot(rig);
  rig.drop_client(kOrigin);
  rig.until_idle();
  open_receiver(rig);
}

void receive_some(Rig& rig) {
  rig.engine().set_receiving(kReceiver, receive_of_late(true), [](const Status&) {});
  settle(rig);
}

void receiving_or_not(Rig& rig) {
  const auto receiving = rig.engine().status().replication.receiving;
  require(!receiving || *receiving == receive_of_late(true), "something else is being received");
}

// All of it has come.
void with_received(Rig& rig) {
  with_snapshot(rig);
  rig.drop_client(kOrigin);
  rig.until_idle();
  say_receiving(rig, receive_of_late());
}

void create_received(Rig& rig) {
  rig.start_create("late", kReceiver);
  settle(rig);
}

void received_or_not(Rig& rig) {
  const auto receiving = rig.engine().status().replication.receiving;
  const auto found = rig.engine().find_snapshot("late");
  require(found.ok() != receiving.has_value(), "it was received and is being received, or neither");
  require(!found.ok() || (found->received && !found->written), "it does not know what it is");
  require(!receiving || *receiving == receive_of_late(), "something else is being received");
  if (!receiving) return;
  rig.engine().close_client(say_receiving(rig, std::nullopt));
  rig.until_idle();
}

void one_name(Rig& rig) {
  require(rig.engine().find_snapshot("a").ok() != rig.engine().find_snapshot("b").ok(),
          "it has both names, or none");
}

// A client comes, is given chunks to overwrite, and goes.
void visit(Rig& rig) {
  bool told = false;
  std::optional<ClientKey> key;
  const SnapshotId volume = id_of(rig, "a");
  rig.engine().open_client(Uuid::from_random(5, 6), volume, Engine::Access::write,
                           [&](const Result<ClientKey>& opened) {
                             told = true;
                             if (opened.ok()) key = *opened;
                           });
  rig.until([&] { return told; });
  if (key) {
    rig.engine().upload_done(*key);
    told = false;
    rig.engine().snapshot_write(*key, {{Chunk(30), 4}}, true,
                                [&](const Result<std::vector<WritePiece>>&) { told = true; });
    rig.until([&] { return told; });
    rig.engine().close_client(*key);
  }
  settle(rig);
}

// Small commits until the journal makes a checkpoint necessary.
void checkpoint(Rig& rig) {
  const std::uint64_t before = rig.engine().status().checkpoints;
  for (std::uint64_t c = 0; c < kChunks; ++c) {
    bool told = false;
    rig.write_origin({Chunk(c), 1}, 100 + c, [&](const Status&) { told = true; });
    rig.until([&] { return told; });
    if (rig.engine().status().checkpoints > before || rig.engine().status().failed) break;
  }
  settle(rig);
}

void close_in_order(Rig& rig) {
  static_cast<void>(rig.engine().close());
}

// A store of which a checkpoint, half a deletion and writes in flight are in the journal.
void with_a_history(Rig& rig) {
  with_much_to_delete(rig);
  rig.start_remove("early");
  rig.turns(8);
  rig.write_origin({Chunk(100), 9}, 7);
  rig.write_snapshot(id_of(rig, "a"), {Chunk(200), 9}, 8, true);
  rig.turns(3);
}

void recover_it(Rig& rig) {
  if (!rig.try_open().ok()) return;
  for (const auto& id : rig.engine().absent_clients()) rig.engine().forget_client(id);
  settle(rig);
}

}  // namespace

std::vector<Operation> all_operations() {
  std::vector<Operation> all{
      {"first write of the origin", small(), with_snapshot, write_origin},
      {"partial write of a snapshot, from the origin", small(), with_snapshot,
       write_snapshot(false)},
      {"partial write of a shared chunk", small(), with_shared, write_snapshot(false)},
      {"write that makes a chunk mutable", small(), with_exceptions, write_snapshot(false)},
      {"overwrite of a snapshot", small(), with_snapshot, write_snapshot(true)},
      {"overwrite of a shared chunk", small(), with_shared, write_snapshot(true)},
      {"creating a snapshot", small(), with_shared, create},
      {"deleting a snapshot", for_deletion(), with_much_to_delete, remove},
      {"renaming a snapshot", small(), with_snapshot, rename, false, false, one_name},
      {"sealing a snapshot", small(), with_written, seal, false, false, sealed_or_not},
      {"saying what is received", small(), with_receiver, receive_some, false, false,
       receiving_or_not},
      {"creating what was received", small(), with_received, create_received, false, false,
       received_or_not},
      {"a client that comes and goes", small(), with_snapshot, visit},
      {"checkpoint", small(), with_snapshot, checkpoint},
      {"closing the store", small(), with_exceptions, close_in_order, false, true},
      {"recovery", for_deletion(), with_a_history, recover_it, true},
  };
  const RigOptions separate = small(true);
  all.push_back(
      {"first write of the origin, metadata elsewhere", separate, with_snapshot, write_origin});
  all.push_back({"overwrite of a snapshot, metadata elsewhere", separate, with_snapshot,
                 write_snapshot(true)});
  all.push_back({"sealing a snapshot, metadata elsewhere", separate, with_written, seal, false,
                 false, sealed_or_not});
  all.push_back({"checkpoint, metadata elsewhere", separate, with_snapshot, checkpoint});
  all.push_back({"closing the store, metadata elsewhere", separate, with_exceptions, close_in_order,
                 false, true});
  RigOptions separate_deletion = for_deletion();
  separate_deletion.separate_metadata = true;
  all.push_back(
      {"recovery, metadata elsewhere", separate_deletion, with_a_history, recover_it, true});
  return all;
}

}  // namespace csnap
