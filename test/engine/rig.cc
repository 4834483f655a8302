// SPDX-License-Identifier: Apache-2.0
#include "test/engine/rig.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "store/crc.h"

namespace csnap {
void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

Rig::Rig(RigOptions the_options) : options(the_options), rng_(the_options.seed) {
  const std::uint64_t origin_bytes = options.origin_chunks << options.chunk_shift;
  origin = std::make_shared<MemoryVolume>("origin", origin_bytes);
  store = std::make_shared<MemoryVolume>("store", options.store_bytes);
  if (options.separate_metadata) metadata = std::make_shared<MemoryVolume>("metadata", 8u << 20);
  LayoutRequest request;
  request.uuid = Uuid::from_random(rng_(), rng_());
  request.origin_size = origin_bytes;
  request.store_size = options.store_bytes;
  request.metadata_size = metadata ? metadata->size() : 0;
  request.chunk_shift = options.chunk_shift;
  request.journal_size = options.journal_bytes;
  const auto plan = plan_layout(request);
  require(plan.ok(), plan.status().to_string());
  plan_ = *plan;
  MemoryDevice store_device(store);
  std::unique_ptr<MemoryDevice> metadata_device;
  if (metadata) metadata_device = std::make_unique<MemoryDevice>(metadata);
  const Status made = format_store(store_device, metadata_device.get(), plan_);
  require(made.ok(), made.to_string());
  model_[kOrigin].assign(options.origin_chunks, 0);
}

Rig::~Rig() {
  if (engine_) kill();
}

Status Rig::try_open() {
  EngineDevices devices;
  MemoryDeviceOptions device_options;
  device_options.shuffle_seed = rng_();
  const auto make = [&](const std::shared_ptr<MemoryVolume>& volume,
                        int slot) -> std::unique_ptr<Device> {
    auto device = std::make_unique<MemoryDevice>(volume, device_options);
    devices_[slot] = device.get();
    if (!faults) return device;
    return std::make_unique<FaultDevice>(std::move(device), faults);
  };
  devices.origin = make(origin, 0);
  devices.store = make(store, 1);
  if (metadata) devices.metadata = make(metadata, 2);
  EngineOptions engine_options;
  engine_options.cache_bytes = options.cache_bytes;
  engine_options.max_held_runs = options.max_held_runs;
  engine_options.holder = "rig";
  engine_options.random_seed = rng_();
  engine_options.clock_us = options.clock_us;
  auto opened = Engine::open(std::move(devices), engine_options, *this);
  if (!opened.ok()) {
    for (auto& device : devices_) device = nullptr;
    return opened.status();
  }
  engine_ = std::move(opened).value();
  ++now_ms_;
  engine_->tick(now_ms_, 1000000 * now_ms_);
  return {};
}

void Rig::open() {
  const Status status = try_open();
  require(status.ok(), "open: " + status.to_string());
  reconcile();
  // Clients come back, as they do: nothing of theirs was under way.
  clients_.clear();
  for (const auto& [volume, id] : ids_) {
    if (!model_.contains(volume)) continue;
    client(volume);
  }
  for (const auto& id : engine_->absent_clients()) engine_->forget_client(id);
}

void Rig::close() {
  const Status status = engine_->close();
  require(status.ok(), "close: " + status.to_string());
  engine_.reset();
  clients_.clear();
  todo_.clear();
}

void Rig::reconcile() {
  std::set<SnapshotId> there;
  for (const auto& info : engine_->list()) {
    const Snapshot& snapshot = info.snapshot;
    if (snapshot.deleting) continue;
    there.insert(snapshot.id);
    if (model_.contains(snapshot.id)) continue;
    require(creating_.contains(snapshot.name), "a snapshot that nobody asked for");
    // No origin write was granted between its point in time and the crash.
    model_[snapshot.id] = model_[kOrigin];
  }
  for (auto it = model_.begin(); it != model_.end();) {
    const bool gone = it->first != kOrigin && !there.contains(it->first);
    if (gone) require(!removing_.empty(), "a snapshot is gone that nobody deleted");
    it = gone ? model_.erase(it) : std::next(it);
  }
  creating_.clear();
  removing_.clear();
}

void Rig::maybe_written(const Write& write) {
  for (Chunk c = write.run.start; c < write.run.end(); ++c)
    maybe_[{write.id, c.value}].insert(write.tag);
}

void Rig::kill() {
  for (const auto& [number, write] : std::exchange(writing_, {})) maybe_written(write);
  // Behind a fault device requests have to come back; the engine's destructor waits for them.
  for (auto* device : devices_)
    if (device && !faults) device->abandon();
  engine_.reset();
  for (auto& device : devices_) device = nullptr;
  clients_.clear();
  todo_.clear();
}

void Rig::power_cut() {
  kill();
  origin->crash_keeping_all();  // what clients wrote at once counts as flushed
  store->crash(rng_);
  if (metadata) metadata->crash(rng_);
}

void Rig::until(const std::function<bool()>& condition) {
  int still = 0;
  while (!condition()) {
    for (auto what = std::exchange(todo_, {}); auto& f : what) f();
    ++now_ms_;
    engine_->tick(now_ms_, 1000000 * now_ms_);
    const bool moved = engine_->poll() > 0 || !todo_.empty();
    still = moved ? 0 : still + 1;
    require(still < 1000, "nothing moves any more");
  }
}

void Rig::until_idle() {
  until([&] { return todo_.empty() && engine_->idle(); });
}

ClientKey Rig::client(SnapshotId volume) {
  const auto known = clients_.find(volume);
  if (known != clients_.end()) return known->second;
  Uuid& id = ids_[volume];
  if (id.is_nil()) id = Uuid::from_random(rng_(), rng_());
  bool told = false;
  engine_->open_client(id, volume, Engine::Access::write, [&](Result<ClientKey> key) {
    told = true;
    require(key.ok(), "open_client: " + key.status().to_string());
    clients_[volume] = *key;
  });
  until([&] { return told; });
  engine_->upload_done(clients_.at(volume));
  if (options.client_copies) engine_->offer_copies(clients_.at(volume), {});
  return clients_.at(volume);
}

void Rig::drop_client(SnapshotId volume) {
  const auto known = clients_.find(volume);
  if (known == clients_.end()) return;
  engine_->close_client(known->second);
  clients_.erase(known);
  ids_.erase(volume);
}

void Rig::fill(MemoryVolume& volume, std::uint64_t chunk, std::uint64_t tag) {
  MemoryDevice device(std::shared_ptr<MemoryVolume>(std::shared_ptr<MemoryVolume>(), &volume));
  std::vector<std::uint64_t> words((1u << options.chunk_shift) / 8, tag);
  // Aligned as a device wants it.
  static_assert(alignof(std::max_align_t) >= 8);
  std::unique_ptr<std::byte, void (*)(void*)> memory(
      static_cast<std::byte*>(std::aligned_alloc(4096, words.size() * 8)), std::free);
  std::memcpy(memory.get(), words.data(), words.size() * 8);
  const Status status =
      write_sync(device, chunk << options.chunk_shift, {memory.get(), words.size() * 8});
  require(status.ok(), status.to_string());
}

std::uint64_t Rig::tag_at(const MemoryVolume& volume, std::uint64_t chunk) {
  const auto bytes =
      volume.bytes(chunk << options.chunk_shift, std::size_t{1} << options.chunk_shift);
  std::uint64_t tag = 0;
  std::memcpy(&tag, bytes.data(), 8);
  for (std::size_t at = 8; at < bytes.size(); at += 8)
    if (std::memcmp(bytes.data() + at, &tag, 8) != 0) return ~std::uint64_t{0};
  return tag;
}

void Rig::set_model(SnapshotId volume, ChunkRun run, std::uint64_t tag) {
  auto& tags = model_.at(volume);
  for (Chunk c = run.start; c < run.end(); ++c) {
    tags[c.value] = tag;
    maybe_.erase({volume, c.value});
  }
}

void Rig::write_origin(ChunkRun run, std::uint64_t tag, Told done) {
  engine_->origin_write(client(kOrigin), {run}, [this, run, tag, done](const Status& status) {
    if (status.ok()) {
      for (Chunk c = run.start; c < run.end(); ++c) fill(*origin, c.value, tag);
      set_model(kOrigin, run, tag);
    }
    if (done) done(status);
  });
}

void Rig::write_snapshot(SnapshotId id, ChunkRun run, std::uint64_t tag, bool overwrite,
                         Told caller) {
  const std::uint64_t number = next_write_++;
  writing_[number] = {id, run, tag};
  const Told done = [this, number, caller](const Status& status) {
    // What failed may have been done in part.
    if (!status.ok()) maybe_written(writing_.at(number));
    writing_.erase(number);
    if (caller) caller(status);
  };
  engine_->snapshot_write(client(id), {run}, overwrite,
                          [this, id, run, tag, done](Result<std::vector<WritePiece>> pieces) {
                            if (!pieces.ok()) {
                              if (done) done(pieces.status());
                              return;
                            }
                            finish_overwrite(id, std::move(*pieces), run, tag, done);
                          });
}

void Rig::finish_overwrite(SnapshotId id, std::vector<WritePiece> pieces, ChunkRun run,
                           std::uint64_t tag, Told done) {
  std::vector<WrittenRun> written;
  std::vector<std::byte> chunk(std::size_t{1} << options.chunk_shift);
  for (std::size_t at = 0; at < chunk.size(); at += 8) std::memcpy(chunk.data() + at, &tag, 8);
  std::uint64_t covered = 0;
  for (const auto& piece : pieces) {
    covered += piece.chunks.count;
    for (std::uint64_t i = 0; i < piece.chunks.count; ++i) fill(*store, piece.store.value + i, tag);
    if (piece.provisional)
      written.push_back({piece.chunks, piece.store,
                         std::vector<std::uint32_t>(piece.chunks.count, crc32c(chunk))});
  }
  require(covered == run.count, "the pieces do not cover the range");
  // What is rewritten in place is durable by the client's own flush.
  MemoryDevice device(store);
  require(written.size() == pieces.size() || flush_sync(device).ok(), "flush");
  if (written.empty()) {
    set_model(id, run, tag);
    if (done) done({});
    return;
  }
  todo_.push_back([this, id, run, tag, done, written = std::move(written)] {
    engine_->finish_write(client(id), written, [this, id, run, tag, done](const Status& status) {
      if (status.code() == Code::stale && model_.contains(id)) {
        todo_.push_back([=, this] { write_snapshot(id, run, tag, true, done); });
        return;
      }
      if (status.ok()) set_model(id, run, tag);
      if (done) done(status);
    });
  });
}

void Rig::read_snapshot(SnapshotId id, ChunkRun run, Told done) {
  engine_->snapshot_read(client(id), {run}, [this, id, run, done](Result<ReadGrant> grant) {
    if (!grant.ok()) {
      if (done) done(grant.status());
      return;
    }
    std::uint64_t covered = 0;
    Status sound;
    for (const auto& piece : grant->pieces) {
      for (std::uint64_t i = 0; i < piece.chunks.count; ++i, ++covered) {
        const std::uint64_t chunk = piece.chunks.start.value + i;
        if (!has_checksum(piece, i)) {
          sound = Status(Code::corrupt, "chunk " + std::to_string(chunk) + " has another checksum");
          continue;  // a client delivers nothing of it
        }
        const std::uint64_t tag =
            piece.on_origin ? tag_at(*origin, chunk) : tag_at(*store, piece.store.value + i);
        if (!equals(id, chunk, tag)) ++mismatches_;
      }
    }
    require(covered == run.count, "the pieces do not cover the range");
    todo_.push_back([this, id, read = grant->id] {
      if (clients_.contains(id)) engine_->finish_read(clients_.at(id), read);
    });
    if (done) done(sound);
  });
}

// Has the n-th chunk of the piece the data that the engine says it has?
bool Rig::has_checksum(const ReadPiece& piece, std::uint64_t n) const {
  if (piece.crcs.empty() || piece.crcs[n] == 0) return true;
  const std::uint64_t size = 1ULL << options.chunk_shift;
  return stored_checksum(crc32c(store->bytes((piece.store.value + n) * size, size))) ==
         piece.crcs[n];
}

// Settles what a crash left open by what is found.
bool Rig::equals(SnapshotId id, std::uint64_t chunk, std::uint64_t tag) {
  std::uint64_t& expected = model_.at(id)[chunk];
  if (const auto open = maybe_.find({id, chunk}); open != maybe_.end()) {
    if (open->second.contains(tag)) expected = tag;
    maybe_.erase(open);
  }
  return tag == expected;
}

void Rig::start_create(const std::string& name, std::optional<Uuid> receiver) {
  creating_.insert(name);
  engine_->create_snapshot(name, receiver, [this, name](Result<Snapshot> snapshot) {
    // An I/O error leaves it open whether it was done.
    if (snapshot.status().code() != Code::io_error) creating_.erase(name);
    if (snapshot.ok()) model_[snapshot->id] = model_[kOrigin];
  });
}

void Rig::start_remove(const std::string& name) {
  const auto found = engine_->find_snapshot(name);
  if (!found.ok()) return;
  removing_.insert(name);
  engine_->delete_snapshot(name, true, [this, name, id = found->id](const Status& status) {
    if (status.code() != Code::io_error) removing_.erase(name);
    if (status.ok()) model_.erase(id);
  });
}

void Rig::turns(std::uint64_t n) {
  for (std::uint64_t i = 0; i < n; ++i) {
    for (auto what = std::exchange(todo_, {}); auto& f : what) f();
    ++now_ms_;
    engine_->tick(now_ms_, 1000000 * now_ms_);
    engine_->poll();
  }
}

Status Rig::write_origin_now(ChunkRun run, std::uint64_t tag) {
  Status outcome(Code::internal, "no answer");
  bool told = false;
  write_origin(run, tag, [&](const Status& status) {
    outcome = status;
    told = true;
  });
  until([&] { return told; });
  return outcome;
}

Status Rig::write_snapshot_now(SnapshotId id, ChunkRun run, std::uint64_t tag, bool overwrite) {
  Status outcome(Code::internal, "no answer");
  bool told = false;
  write_snapshot(id, run, tag, overwrite, [&](const Status& status) {
    outcome = status;
    told = true;
  });
  until([&] { return told; });
  return outcome;
}

Result<Snapshot> Rig::create(const std::string& name) {
  Result<Snapshot> outcome = Status(Code::internal, "no answer");
  bool told = false;
  engine_->create_snapshot(name, std::nullopt, [&](Result<Snapshot> snapshot) {
    outcome = std::move(snapshot);
    told = true;
  });
  until([&] { return told; });
  if (outcome.ok()) model_[outcome->id] = model_[kOrigin];
  return outcome;
}

Status Rig::remove(const std::string& name, bool force) {
  const auto found = engine_->find_snapshot(name);
  Status outcome(Code::internal, "no answer");
  bool told = false;
  engine_->delete_snapshot(name, force, [&](const Status& status) {
    outcome = status;
    told = true;
  });
  until([&] { return told; });
  if (outcome.ok()) {
    model_.erase(found->id);
    drop_client(found->id);
  }
  return outcome;
}

void Rig::barrier_begin(ClientKey key, std::uint64_t barrier) {
  if (answer_barriers)
    todo_.push_back([this, key, barrier] { engine_->barrier_done(key, barrier); });
  else
    barriers.emplace_back(key, barrier);
}
void Rig::barrier_end(ClientKey, std::uint64_t) {}
void Rig::evict(ClientKey key, const std::string&) {
  todo_.push_back([this, key] { engine_->evicted(key); });
}
void Rig::copy(ClientKey key, const CopyOrder& order) {
  if (!answer_copies) {
    copies.emplace_back(key, order);
    return;
  }
  todo_.push_back([this, key, order] {
    const Status status = engine_->copied(key, order.id, make_copy(order));
    require(status.ok(), status.to_string());
  });
}

std::vector<std::uint32_t> Rig::make_copy(const CopyOrder& order) {
  std::vector<std::uint32_t> crcs;
  std::vector<std::byte> chunk(std::size_t{1} << options.chunk_shift);
  for (std::uint64_t i = 0; i < order.to.count; ++i) {
    const std::uint64_t tag = tag_at(order.from_origin ? *origin : *store, order.from + i);
    fill(*store, order.to.start.value + i, tag);
    for (std::size_t at = 0; at < chunk.size(); at += 8) std::memcpy(chunk.data() + at, &tag, 8);
    crcs.push_back(crc32c(chunk));
  }
  return crcs;
}

void Rig::log(Level level, const std::string& text) {
  if (level >= Level::warning) logged_.push_back(text);
}

}  // namespace csnap
