// SPDX-License-Identifier: Apache-2.0
// How a history begins, goes on and ends; who dies when.
#include "test/sim/world.h"

#include <algorithm>
#include <utility>

namespace csnap::sim {

World::World(std::uint64_t seed, bool tracing)
    : seeds_(Random(seed).fork()),  // neighbours have nothing in common
      profile(seeds_, theme_of(seed), aim_of(seed)),
      random(seeds_.fork()),
      context{scheduler, profile, coverage, seeds_.fork()},
      origin(std::make_unique<Disk>(context, DiskKind::origin,
                                    profile.origin_chunks << profile.chunk_shift)),
      store(std::make_unique<Disk>(context, DiskKind::store, profile.store_bytes)),
      metadata(profile.metadata_bytes == 0
                   ? nullptr
                   : std::make_unique<Disk>(context, DiskKind::metadata, profile.metadata_bytes)),
      network(context),
      model((profile.origin_chunks << profile.chunk_shift) / kUnit,
            [this] {
              return FlushTimes{origin->flushed_up_to(), store->flushed_up_to(),
                                metadata_disk().flushed_up_to()};
            },
            [this] { return scheduler.now(); }),
      seed_(seed),
      tracing_(tracing),
      server_(*this),
      admin_(*this),
      what_if_random_(seeds_.fork()) {
  context.calm = true;
  if (tracing_) network.trace = [this](const std::string& text) { print(text); };
  format();
}

World::~World() {
  for (const ClientPtr& c : clients_) c->crash(true);
  if (server_.up()) server_.kill();
}

void World::print(const std::string& text) {
  std::cout << scheduler.now() / 1000 << '.' << (1000 + scheduler.now() % 1000) % 1000
            << " ms: " << text << '\n';
}

void World::fail(const std::string& what) {
  if (!violation_.empty()) return;
  violation_ = what;
  trace([&] { return "VIOLATION: " + what; });
}

void World::note(std::uint64_t what, std::uint64_t more) {
  for (const std::uint64_t word : {what, more, scheduler.now()})
    hash_ = (hash_ ^ word) * 1099511628211ULL;
}

bool World::in_journal(std::uint64_t offset) const {
  return offset >= plan_.journal.value * kBlockSize &&
         offset < (plan_.journal.value + plan_.journal_blocks) * kBlockSize;
}

void World::format() {
  LayoutRequest request;
  request.uuid = Uuid::from_random(seed_, 1);
  request.origin_size = origin->medium().size();
  request.store_size = profile.store_bytes;
  request.metadata_size = profile.metadata_bytes;
  request.chunk_shift = profile.chunk_shift;
  request.journal_size = profile.journal_bytes;
  const auto plan = plan_layout(request);
  if (!plan.ok()) return fail("layout: " + plan.status().to_string());
  plan_ = *plan;
  MemoryDevice store_device(store->volume());
  std::unique_ptr<MemoryDevice> metadata_device;
  if (metadata) metadata_device = std::make_unique<MemoryDevice>(metadata->volume());
  const Status made = format_store(store_device, metadata_device.get(), plan_);
  if (!made.ok()) return fail("format: " + made.to_string());
  metadata_disk().spared = [this](std::uint64_t offset, std::uint64_t) {
    return in_journal(offset);
  };
  std::vector<std::byte> unit(kUnit);
  for (std::uint64_t u = 0; u < model.units(); ++u) {
    Model::fill(unit, Model::tag(1, u));
    origin->medium().poke(u * kUnit, unit);
  }
  model.add_origin(1);
}

// -- the course of things ------------------------------------------------------------------------

bool World::step() {
  if (!violation_.empty() || given_up_) return false;
  if (!scheduler.step()) return false;
  graveyard_.clear();
  return violation_.empty() && !given_up_;
}

void World::run() {
  if (!violation_.empty()) return;
  trace([&] { return profile.to_string(); });
  if (profile.old_snapshots > 0) age();
  start_server();
  watch();
  context.calm = false;
  next_operation();
  if (profile.curious_admin) keep_looking();
  while (!done_operating_)
    if (!step()) break;
  if (violation_.empty() && !given_up_) end();
  note(0xE4D, given_up_);
}

// An operator looks after the server every now and then.
void World::watch() {
  scheduler.in(100 * kMilli, [this] {
    if (server_.up() && (server_.engine().status().failed || server_.disk_dead())) {
      trace([&] { return std::string("the operator restarts a server that has failed"); });
      stop_server();
    }
    for (const ClientPtr& c : std::vector<ClientPtr>(clients_))
      if (c->disk_dead()) client_died(*c);
    if (!given_up_) watch();
  });
}

void World::start_server() {
  starting_ = false;
  check_store(!context.calm && random.below(3) != 0 ? false : true);
  if (!violation_.empty() || given_up_) return;
  const Status started = server_.start(seed_ << 8 | (++incarnations_ & 0xFF));
  note(1, started.ok());
  trace([&] { return "server starts: " + started.to_string(); });
  if (!started.ok()) {
    if (server_.doomed()) return server_died();
    judge_error("starting the server", started);
    if (started.code() == Code::corrupt || started.code() == Code::invalid) {
      given_up_ = true;  // reported, and nobody is served anything wrong
      return;
    }
    starting_ = true;
    scheduler.in(random.between(1, 200) * kMilli, [this] { start_server(); });
    return;
  }
  if (server_.engine().epoch() <= last_epoch_ && !lied_) fail("the epoch did not grow");
  last_epoch_ = server_.engine().epoch();
  reconcile();
  network.set_server(&server_);
}

void World::stop_server() {
  if (!server_.up()) return;
  network.set_server(nullptr);
  Status stopped(Code::io_error, "killed");
  if (!server_.engine().status().failed && !server_.disk_dead()) stopped = server_.stop();
  if (server_.doomed()) return server_died();
  note(2, stopped.ok());
  trace([&] { return "server stops: " + stopped.to_string(); });
  if (server_.up()) server_.kill();
  network.forget(&server_);
  model.server_gone();
  starting_ = true;
  scheduler.in(random.below(300) * kMilli, [this] { start_server(); });
}

void World::server_died() {
  ++crashes_;
  const bool power = server_.doomed_by_power();
  note(3, power);
  trace([&] { return std::string(power ? "the power fails" : "the server dies"); });
  if (power) {
    power_cut();
  } else {
    network.set_server(nullptr);
    network.forget(&server_, random.below(2) == 0);
    server_.kill();
    model.server_gone();
  }
  starting_ = true;
  scheduler.in(
      random.below(3) == 0 ? random.below(2000 * profile.lease_ms) : random.below(50 * kMilli),
      [this] { start_server(); });
}

void World::power_cut() {
  network.set_server(nullptr);
  network.forget(&server_, true);
  for (const ClientPtr& c : std::exchange(clients_, {})) {
    c->power_fails();
    graveyard_.push_back(c);
  }
  admin_.reset();
  if (store->lied() || metadata_disk().lied()) {
    model.lost_since_flush((1ULL << profile.chunk_shift) / kUnit);
    lied_ = deleting_happens_ = true;
  }
  model.power_cut();
  origin->cut_power(random);
  store->cut_power(random);
  if (metadata) metadata->cut_power(random);
  for (const ClientPtr& c : graveyard_) c->crash(true);
  server_.kill();
}

void World::client_died(Client& client) {
  note(4, client.number());
  trace([&] { return "client " + std::to_string(client.number()) + " dies"; });
  coverage.struck(Fault::client_crash);
  const auto self = client.shared_from_this();
  std::erase(clients_, self);
  client.crash(random.below(2) == 0);
  graveyard_.push_back(self);
}

void World::client_io(Client& client) {
  if (context.calm || client.doomed()) return;
  if (context.random.chance(profile.client_crash_io / 2)) client.doom();
}

void World::message_of_client(Client& client) {
  if (context.calm) return;
  if (context.random.chance(profile.client_crash_message)) client.doom();
  if (!context.random.chance(profile.power_cut_message)) return;
  scheduler.in(0, [this] {
    if (!server_.up()) return;
    server_.doom(true);
    server_died();
  });
}

void World::message_of_server() {
  if (context.calm || server_.doomed()) return;
  if (context.random.chance(profile.server_crash_message)) server_.doom(false);
}

void World::client_opened(Client& client) {
  note(5, client.number());
}

void World::client_gone(Client& client, const Status& why) {
  note(6, client.number());
  trace([&] { return "client " + std::to_string(client.number()) + ": " + why.to_string(); });
  judge_error("a session", why);
}

void World::client_disposed(Client& client) {
  const auto self = client.shared_from_this();
  if (std::erase(clients_, self) == 0) return;
  client.crash(false);  // nothing of it is left
  graveyard_.push_back(self);
}

// -- the end -------------------------------------------------------------------------------------

bool World::settle(const char* what) {
  const Micros until = scheduler.now() + 120'000 * kMilli;
  const auto busy = [&] {
    if (!server_.up() || admin_.busy()) return true;
    return std::any_of(clients_.begin(), clients_.end(), [](const ClientPtr& c) {
      return c->actions() > 0 || c->leaving() || (!c->opened() && c->gone().ok());
    });
  };
  while (busy()) {
    if (!step()) return false;
    if (scheduler.now() < until) continue;
    std::string left;
    for (const ClientPtr& c : clients_) left += c->describe();
    fail(std::string(what) + ": things do not come to an end: " +
         (server_.up() ? "" : "no server; ") + (admin_.busy() ? "administrator; " : "") + left);
    return false;
  }
  return true;
}

// All is well from here on: everybody must get what they wait for, and everything must be right.
void World::end() {
  context.calm = true;
  if (server_.up() && server_.disk_dead()) stop_server();
  if (!settle("in the end")) return;
  // Everybody reads everything.
  for (const auto& [id, state] : snapshots_) {
    if (state.deleted || state.delete_asked) continue;
    clients_.push_back(std::make_shared<Client>(*this, next_client_++, id, *state.names.begin()));
    Client& c = *clients_.back();
    c.begin();
  }
  if (!settle("opening every snapshot")) return;
  const std::uint64_t per_chunk = (1ULL << profile.chunk_shift) / kUnit;
  for (const ClientPtr& c : std::vector<ClientPtr>(clients_)) {
    if (c->is_origin() || !c->usable()) continue;
    for (std::uint64_t u = 0; u < model.units(); u += 64 * per_chunk)
      c->start(Op::snapshot_read, {u, std::min(64 * per_chunk, model.units() - u)});
  }
  if (!settle("reading every snapshot")) return;
  for (const ClientPtr& c : std::vector<ClientPtr>(clients_)) c->leave();
  if (!settle("saying goodbye")) return;
  const Micros until = scheduler.now() + 60'000 * kMilli;
  while (!server_.up() || !server_.engine().idle() || !server_.engine().clients().empty()) {
    if (!step()) return;
    if (scheduler.now() > until) return fail("the server never comes to rest");
  }
  // Nobody reads, nobody is there to set anything aside for: all that is free can be used, but for
  // a few blocks that the tree keeps at hand.
  constexpr std::uint64_t kAtHand = 64;
  const EngineStatus status = server_.engine().status();
  const std::uint64_t held = status.held_chunks << profile.chunk_shift;
  if (!status.failed && held > kAtHand * kBlockSize)
    return fail(std::to_string(held) + " free bytes are held back, and nobody uses them");
  const Status stopped = server_.stop();
  if (!stopped.ok()) judge_error("stopping the server", stopped);
  check_store(true);
}

}  // namespace csnap::sim
