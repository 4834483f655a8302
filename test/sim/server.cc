// SPDX-License-Identifier: Apache-2.0
#include "test/sim/server.h"

#include <algorithm>

#include "test/sim/world.h"

namespace csnap::sim {

Server::~Server() {
  if (engine_) kill();
}

std::unique_ptr<Device> Server::port(Disk& disk) {
  auto made = std::make_unique<DiskPort>(
      disk, true, [this](const DiskPort& at, const IoRequest& request, bool submitted) {
        world_.check_server_io(at, request);
        on_io(at, request, submitted);
      });
  ports_.push_back(made.get());
  return made;
}

// A checkpoint shows itself by what it writes: from the first home to superblock B.
void Server::watch_checkpoint(const DiskPort& at, const IoRequest& request) {
  if (starting_ || request.kind != IoKind::write || &at.disk() != &world_.metadata_disk()) return;
  if (!Disk::is_metadata(request.data)) return;
  if (world_.in_journal(request.offset)) return;
  if (!checkpointing_) world_.coverage.begin(Op::checkpoint);
  checkpointing_ = true;
  if (request.offset != kSuperblockB.value * kBlockSize) return;
  world_.coverage.end(Op::checkpoint);
  checkpointing_ = false;
}

void Server::on_io(const DiskPort& at, const IoRequest& request, bool submitted) {
  if (submitted) watch_checkpoint(at, request);
  if (submitted && !doomed_) world_.what_if(request, starting_ || checkpointing_);
  if (doomed_ || world_.context.calm) return;
  const Profile& p = world_.profile;
  // Rot strikes otherwise between operations.
  if (p.aim && p.aim->fault == Fault::bit_rot && world_.context.strikes(Fault::bit_rot, 0))
    world_.metadata_disk().rot(world_.context.random);
  // Half of it before the request, half after it.
  if (world_.context.random.chance(p.server_crash_io / 2)) doom(false);
  if (world_.context.random.chance(p.power_cut_io / 2)) doom(true);
}

Status Server::start(std::uint64_t incarnation) {
  ports_.clear();
  inbox_.clear();
  paused_links_.clear();
  to_write_.clear();
  to_close_.clear();
  doomed_ = doomed_by_power_ = false;
  paused_until_ = 0;
  ServiceOptions options;
  options.lease_ms = static_cast<std::uint32_t>(world_.profile.lease_ms);
  options.heartbeat_ms = static_cast<std::uint32_t>(world_.profile.heartbeat_ms);
  options.server_name = "sim";
  options.incarnation = Uuid::from_random(incarnation, 99);
  options.devices = {
      {DeviceDescription::Kind::origin, "/origin", world_.origin->medium().size(), "o"},
      {DeviceDescription::Kind::store, "/store", world_.store->medium().size(), "s"}};
  options.max_request_chunks = 4096;
  options.max_reads = 64;
  options.client_copies =
      world_.profile.client_copies ? ClientCopyPolicy::on : ClientCopyPolicy::off;
  options.log = [this](EngineEvents::Level, const std::string& text) {
    world_.trace([&] { return "server: " + text; });
  };
  service_ = std::make_unique<Service>(std::move(options), static_cast<Transport&>(*this));
  EngineDevices devices;
  devices.origin = port(*world_.origin);
  devices.store = port(*world_.store);
  if (world_.metadata) devices.metadata = port(*world_.metadata);
  EngineOptions engine_options;
  engine_options.cache_bytes = world_.profile.cache_bytes;
  engine_options.max_held_runs = world_.profile.max_held_runs();
  engine_options.holder = "sim";
  engine_options.random_seed = incarnation;
  engine_options.copy_patience_ms = world_.profile.lease_ms;
  engine_options.clock_us = [this] { return world_.scheduler.now(); };
  checkpointing_ = false;
  starting_ = world_.context.recovering = true;
  world_.coverage.begin(Op::recovery);
  auto opened = Engine::open(std::move(devices), engine_options, *service_);
  world_.coverage.end(Op::recovery);
  starting_ = world_.context.recovering = false;
  if (doomed_ || !opened.ok()) {
    // What it submitted reaches the disks, or not if the power went.
    const Status why =
        doomed_ ? Status(Code::unavailable, "the server died while starting") : opened.status();
    if (opened.ok()) {
      for (DiskPort* p : ports_) p->abandon();
    }
    opened = Status(Code::unavailable, "gone");
    ports_.clear();
    service_.reset();
    return why;
  }
  engine_ = std::move(opened).value();
  service_->set_engine(*engine_);
  wake(world_.scheduler.now());
  return {};
}

Status Server::stop() {
  service_->drain();
  const Status closed = engine_->close();
  world_.after_server_turn(*engine_);
  if (doomed_) return Status(Code::unavailable, "the server died while stopping");
  service_->close_all();
  send_all();
  engine_.reset();
  service_.reset();
  ports_.clear();
  ++wakes_;
  wake_at_ = 0;
  return closed;
}

void Server::kill() {
  for (DiskPort* p : ports_) p->abandon();
  engine_.reset();
  service_.reset();
  ports_.clear();
  inbox_.clear();
  if (std::exchange(checkpointing_, false)) world_.coverage.end(Op::checkpoint);
  ++wakes_;
  wake_at_ = 0;
}

void Server::doom(bool power_cut) {
  if (doomed_) return;
  world_.coverage.struck(power_cut ? Fault::power_cut : Fault::server_crash);
  doomed_ = true;
  doomed_by_power_ |= power_cut;
  for (DiskPort* p : ports_) p->freeze();
}

bool Server::disk_dead() const {
  return std::any_of(ports_.begin(), ports_.end(), [](const DiskPort* p) { return p->dead(); });
}

void Server::pause(Micros time) {
  paused_until_ = std::max(paused_until_, world_.scheduler.now() + time);
}

void Server::arrive(Arrived what) {
  if (!up()) return;
  inbox_.push_back(std::move(what));
  wake(world_.scheduler.now());
}

void Server::link_opened(LinkId link) {
  arrive({Arrived::What::opened, link, {}});
}
void Server::link_bytes(LinkId link, std::vector<std::byte> bytes) {
  arrive({Arrived::What::bytes, link, std::move(bytes)});
}
void Server::link_closed(LinkId link) {
  arrive({Arrived::What::closed, link, {}});
}

void Server::wake(Micros when) {
  when = std::max({when, world_.scheduler.now(), paused_until_});
  if (wake_at_ != 0 && wake_at_ <= when) return;
  wake_at_ = when;
  world_.scheduler.at(when, [this, number = ++wakes_] {
    if (number == wakes_ && up()) turn();
  });
}

void Server::take_in() {
  std::deque<Arrived> kept;
  while (!inbox_.empty()) {
    Arrived next = std::move(inbox_.front());
    inbox_.pop_front();
    if (doomed_) continue;
    switch (next.what) {
      case Arrived::What::opened:
        service_->on_connect(next.link, {true, true}, true);
        break;
      case Arrived::What::bytes:
        if (paused_links_.contains(next.link)) {
          kept.push_back(std::move(next));
          break;
        }
        world_.message_of_server();
        if (!doomed_) service_->on_bytes(next.link, next.bytes);
        break;
      case Arrived::What::closed:
        service_->on_disconnect(next.link);
        break;
    }
  }
  inbox_ = std::move(kept);
}

void Server::send_all() {
  for (const LinkId link : std::exchange(to_write_, {})) {
    OutputBuffer bytes;
    service_->take_output(link, bytes);
    world_.message_of_server();
    if (doomed_) return;
    world_.network.send(link, false, std::move(bytes));
  }
  for (auto& [link, last] : std::exchange(to_close_, {})) {
    world_.network.send(link, false, std::move(last));
    world_.network.close(link, true);
  }
}

void Server::turn() {
  wake_at_ = 0;
  if (paused_until_ > world_.scheduler.now()) return wake(paused_until_);
  const Micros now = world_.scheduler.now();
  service_->tick(now / kMilli, now * 1000);
  take_in();
  engine_->poll();
  service_->end_turn();
  if (!doomed_) send_all();
  world_.after_server_turn(*engine_);
  if (doomed_) return world_.server_died();
  Micros next = now + (engine_->idle() ? 50 : 10) * kMilli;
  const bool more = std::any_of(inbox_.begin(), inbox_.end(),
                                [&](const Arrived& a) { return !paused_links_.contains(a.link); });
  if (more) next = now + 1;
  if (const auto wanted = engine_->wants_turn_us())
    next = std::min(next, std::max<Micros>(*wanted, now + 1));
  for (const DiskPort* p : ports_)
    if (const auto due = p->next_due()) next = std::min(next, *due);
  wake(next);
}

void Server::wants_write(ConnectionId connection) {
  to_write_.insert(connection);
}
void Server::close(ConnectionId connection, OutputBuffer last) {
  to_write_.erase(connection);
  to_close_.emplace_back(connection, std::move(last));
}
void Server::pause_read(ConnectionId connection) {
  paused_links_.insert(connection);
}
void Server::resume_read(ConnectionId connection) {
  paused_links_.erase(connection);
}

}  // namespace csnap::sim
