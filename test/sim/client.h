// SPDX-License-Identifier: Apache-2.0
// A simulated client machine with one volume open: the real Mapper and the real maps of what is
// remembered; around them, as events, what VolumeSession, OriginIo and SnapshotIo (client/) do with
// threads, by the same rules and in the same order. Threads are slow now and then: between an
// answer and what is done with it time may pass.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/mapper.h"
#include "client/place_map.h"
#include "client/unique_map.h"
#include "proto/frame.h"
#include "store/aligned_buffer.h"
#include "test/sim/model.h"
#include "test/sim/network.h"

namespace csnap::sim {

class World;

// An operation of the workload on its way through a client.
struct Action {
  Op op = Op::flush;
  UnitRun units;
  ChunkRun chunks;
  std::uint64_t model = 0;  // read or write; 0: none
  AlignedBuffer data;       // of a write: units; of a read: whole chunks
  std::size_t pending = 0;  // I/O under way
  Status status;            // of that I/O
  Micros written = 0;       // when the data of a provisional write was on the disk
  bool in_place = false;    // some of it was written in place
  std::vector<bool> done;   // of a snapshot write, by chunk
  std::vector<ReadSource> sources;
  std::uint64_t generation = 0;
  std::uint64_t handle = 0;
  std::optional<Chunk> mismatch;
  std::uint32_t mismatch_crc = 0;
  StoreChunk mismatch_store;
  bool holds_chunks = false;
  bool reads_grant = false;  // is reading what a grant named; see Client::reads_origin()
  bool ended = false;
};
using ActionPtr = std::shared_ptr<Action>;

class Client : public Endpoint, private MapperHost, public std::enable_shared_from_this<Client> {
 public:
  Client(World& world, std::uint64_t number, SnapshotId volume, const std::string& name,
         bool read_only = false);
  ~Client() override;
  void begin();  // connects

  std::uint64_t number() const { return number_; }
  SnapshotId volume() const { return volume_; }
  bool is_origin() const { return volume_ == kOrigin; }
  bool read_only() const { return read_only_; }
  bool opened() const { return info_.has_value(); }
  bool usable() const { return opened() && gone_.ok() && !leaving_; }
  bool leaving() const { return leaving_; }
  const Status& gone() const { return gone_; }
  std::size_t actions() const { return actions_.size(); }
  const std::vector<ActionPtr>& all_actions() const { return actions_; }

  // Operations; the world is told when they end.
  void start(Op op, UnitRun units);
  void leave();             // ends the session in order, when its operations are done
  void crash(bool silent);  // dies now
  void power_fails() { dead_ = true; }
  std::string describe() const;  // what it waits for
  void doom();                   // dies at the end of the event
  bool doomed() const { return doomed_; }
  bool disk_dead() const;
  void pause(Micros time);
  bool paused() const;

  // -- what the judge looks at (client_judge.cc) -----------------------------------------------
  bool lease_valid() const;
  // A read of these chunks of the origin (of the store) under a grant that still holds is under
  // way.
  bool reads_origin(ChunkRun chunks) const;
  bool reads_store(StoreRun run) const;
  // The same, of what its checksums do not protect: a place that several snapshots share may become
  // one's alone and be rewritten; who was told its checksum notices, and asks again.
  bool reads_unprotected(StoreRun run) const;
  bool writes_store(StoreRun run) const;  // an I/O that is under way
  bool writes_origin() const;
  bool remembers_unique() const;

  void link_opened(LinkId link) override;
  void link_bytes(LinkId link, std::vector<std::byte> bytes) override;
  void link_closed(LinkId link) override;

 private:
  // MapperHost
  void opened(const SessionInfo& info) override;
  void standing(const Standing& now) override;
  void granted(std::span<const ChunkRun> unique) override;
  void learned(ChunkRun chunks, StoreChunk store, bool rewritable,
               std::span<const std::uint32_t> crcs) override;
  void drain() override;
  void forget(bool unique, bool places) override;
  void reopen() override;
  void gone(const Status& why) override;
  void hang_up(const Status& why) override;
  void handover(const std::vector<std::string>& addresses, std::uint64_t retry_ms) override;
  void copy(const CopyTask& task) override;

  // client.cc: the machine
  void run(std::function<void()> what);  // now, or when the pause is over
  void later(Micros delay, std::function<void()> what);
  void think(std::function<void()> what);
  void after_event();
  void set_timer();
  void connect();
  void lost();
  void dispose();
  void wake(std::vector<std::function<void()>>& waiters);
  void poll_ports();
  void arm_ports();
  void submit(bool to_origin, IoKind kind, std::uint64_t offset, std::span<std::byte> data,
              std::function<void(Status)> done);
  void finish(const ActionPtr& a, const Status& status);
  bool may_deliver(std::uint64_t generation) const;
  void leave_gate();

  // client_io.cc
  void step(const ActionPtr& a);
  bool wait_until_allowed(const ActionPtr& a);
  void step_origin_write(const ActionPtr& a);
  void step_origin_read(const ActionPtr& a);
  void step_flush(const ActionPtr& a);
  void step_read(const ActionPtr& a, bool ask);
  void read_sources(const ActionPtr& a, bool in_gate);
  void read_done(const ActionPtr& a, bool in_gate);
  bool find_mismatch(const ActionPtr& a, Chunk& chunk, StoreChunk& store, std::uint32_t& crc) const;
  bool remembered(ChunkRun run, std::vector<ReadSource>& sources) const;

  // client_write.cc
  void step_snapshot_write(const ActionPtr& a);
  bool places_known(const ActionPtr& a) const;
  bool covers_whole(const Action& a, Chunk c) const;
  void get_places(const ActionPtr& a);
  void get_whole(const ActionPtr& a, std::vector<ChunkRun> whole, Mapper::WriteKind kind);
  void write_provisional(const ActionPtr& a, const WriteMapping& mapping);
  void finish_provisional(const ActionPtr& a, const WriteMapping& mapping,
                          std::vector<FinishedRun> runs);
  void release_chunks(const ActionPtr& a);
  void write_in_place(const ActionPtr& a);

  // client_copy.cc
  struct Copying {
    CopyTask task;
    AlignedBuffer data;
    std::vector<std::uint32_t> crcs;
  };
  using CopyingPtr = std::shared_ptr<Copying>;
  Status may_copy(const CopyTask& task) const;
  void read_copy(const CopyingPtr& c);
  void write_copy(const CopyingPtr& c);
  void end_copy(const CopyingPtr& c, const Status& status);
  void report_again(OutputBuffer& output);

  std::uint64_t per_chunk() const;  // units
  std::uint64_t chunk_size() const;

  World& world_;
  const std::uint64_t number_;
  SnapshotId volume_;
  const bool read_only_;
  Mapper mapper_;
  FrameReader reader_;
  LinkId link_ = 0;
  bool link_open_ = false;
  std::optional<SessionInfo> info_;
  Status gone_, hang_up_;
  Standing standing_;
  bool leaving_ = false, said_goodbye_ = false, dead_ = false, doomed_ = false, disposed_ = false;
  Micros paused_until_ = 0;
  std::vector<std::function<void()>> deferred_;
  unsigned attempts_ = 0;
  std::uint64_t timer_ms_ = 0, timer_number_ = 0;

  std::unique_ptr<DiskPort> origin_, store_;
  Micros armed_ = 0;
  std::uint64_t arm_number_ = 0;

  std::unique_ptr<UniqueMap> unique_;
  std::unique_ptr<PlaceMap> places_;
  bool gate_closed_ = false;
  std::size_t in_gate_ = 0;
  std::vector<std::function<void()>> lease_waiters_, gate_waiters_, chunk_waiters_;
  std::vector<ChunkRun> held_chunks_;
  std::vector<ActionPtr> actions_;
  std::vector<CopyingPtr> copies_;
  std::optional<wire::CopyDone> reported_;  // last
  struct Writing {
    std::uint64_t number;
    bool to_origin;
    std::uint64_t offset, length;
  };
  std::vector<Writing> writing_;  // on their way to the disks
  std::uint64_t next_io_ = 1;
};

}  // namespace csnap::sim
