// SPDX-License-Identifier: Apache-2.0
#include "test/engine/rig.h"

#include <stdexcept>

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

void Rig::log(Level level, const std::string& text) {
  if (level >= Level::warning) logged_.push_back(text);
}

}  // namespace csnap
