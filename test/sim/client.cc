// SPDX-License-Identifier: Apache-2.0
// The machine: its connection, its session, its disks' queues, its pauses and its end.
#include "test/sim/client.h"

#include <algorithm>
#include <utility>

#include "test/sim/world.h"

namespace csnap::sim {
namespace {

MapperOptions mapper_options(std::uint64_t number, SnapshotId volume, const std::string& name,
                             bool read_only) {
  MapperOptions options;
  options.session = Uuid::from_random(number, 7);
  options.client_name = "client " + std::to_string(number);
  options.volume_name = name;
  options.read_only = read_only;
  if (volume == kOrigin) options.volume = volume;
  return options;
}

}  // namespace

Client::Client(World& world, std::uint64_t number, SnapshotId volume, const std::string& name,
               bool read_only)
    : world_(world),
      number_(number),
      volume_(volume),
      read_only_(read_only),
      mapper_(mapper_options(number, volume, name, read_only), *this) {
  const auto hook = [this](const DiskPort&, const IoRequest& request, bool submitted) {
    if (submitted && !doomed_) world_.what_if(request, world_.changing_snapshots());
    world_.client_io(*this);
  };
  origin_ = std::make_unique<DiskPort>(*world_.origin, false, hook);
  store_ = std::make_unique<DiskPort>(*world_.store, false, hook);
}

Client::~Client() = default;

std::uint64_t Client::chunk_size() const {
  return std::uint64_t{1} << world_.profile.chunk_shift;
}
std::uint64_t Client::per_chunk() const {
  return chunk_size() / kUnit;
}

void Client::begin() {
  world_.coverage.begin(Op::open);
  connect();
}

// -- events --------------------------------------------------------------------------------------

bool Client::paused() const {
  return paused_until_ > world_.scheduler.now();
}

void Client::run(std::function<void()> what) {
  if (dead_) return;
  if (paused()) {
    deferred_.push_back(std::move(what));
    return;
  }
  what();
  if (!dead_) after_event();
}

void Client::later(Micros delay, std::function<void()> what) {
  world_.scheduler.in(delay, [weak = weak_from_this(), what = std::move(what)] {
    if (const auto self = weak.lock()) self->run(what);
  });
}

// The thread that waited for something goes on, at once or after a while.
void Client::think(std::function<void()> what) {
  Random& random = world_.random;
  later(random.below(world_.profile.slow_clients ? 2 : 8) != 0
            ? random.below(60)
            : random.below(world_.profile.lease_ms * 300),
        std::move(what));
}

void Client::pause(Micros time) {
  const Micros until = world_.scheduler.now() + time;
  if (until <= paused_until_) return;
  paused_until_ = until;
  world_.scheduler.at(until, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->paused()) return;
    for (auto& what : std::exchange(self->deferred_, {})) self->run(std::move(what));
  });
}

void Client::wake(std::vector<std::function<void()>>& waiters) {
  for (auto& what : std::exchange(waiters, {})) think(std::move(what));
}

void Client::after_event() {
  if (doomed_) return world_.client_died(*this);
  if (!hang_up_.ok()) {
    hang_up_ = Status();
    return lost();
  }
  if (!link_open_) return;
  OutputBuffer output = mapper_.take_output();
  if (!output.empty()) {
    report_again(output);
    world_.message_of_client(*this);
    if (doomed_) return world_.client_died(*this);
    world_.network.send(link_, true, std::move(output));
  }
  set_timer();
}

void Client::set_timer() {
  const std::uint64_t at = mapper_.next_tick_ms();
  if (at == ~std::uint64_t{0} || at == timer_ms_) return;
  timer_ms_ = at;
  const std::uint64_t number = ++timer_number_;
  const Micros when = std::max(at * kMilli, world_.scheduler.now() + 1);
  world_.scheduler.at(when, [weak = weak_from_this(), number] {
    const auto self = weak.lock();
    if (!self) return;
    self->run([raw = self.get(), number] {
      if (number != raw->timer_number_) return;
      raw->timer_ms_ = 0;
      raw->mapper_.tick(raw->world_.scheduler.now_ms());
    });
  });
}

// -- the connection ------------------------------------------------------------------------------

void Client::connect() {
  if (dead_ || disposed_ || !gone_.ok()) return;
  link_open_ = false;
  link_ = world_.network.connect(this);
}

void Client::link_opened(LinkId link) {
  run([this, link] {
    if (link != link_) return;
    link_open_ = true;
    reader_ = FrameReader();
    mapper_.connected(world_.scheduler.now_ms());
  });
}

void Client::link_bytes(LinkId link, std::vector<std::byte> bytes) {
  run([this, link, bytes = std::move(bytes)] {
    if (link != link_ || !link_open_) return;
    world_.message_of_client(*this);
    if (doomed_) return;
    reader_.feed(bytes);
    while (link == link_ && hang_up_.ok()) {
      auto frame = reader_.next();
      if (!frame.ok()) return world_.fail("a client got bytes that are no frame");
      if (!frame->has_value()) return;
      mapper_.received(**frame, world_.scheduler.now_ms());
    }
  });
}

void Client::link_closed(LinkId link) {
  run([this, link] {
    if (link == link_) lost();
  });
}

void Client::lost() {
  if (link_ != 0) world_.network.close(link_, false);
  link_ = 0;
  link_open_ = false;
  timer_ms_ = 0;
  ++timer_number_;
  if (mapper_.ready()) attempts_ = 0;
  mapper_.disconnected();
  if (!gone_.ok()) return dispose();
  ++attempts_;
  const Micros backoff = std::min<Micros>(250, 1u << std::min(attempts_, 8u)) * kMilli;
  later(world_.random.between(backoff / 2, backoff), [this] {
    if (link_ == 0) connect();
  });
}

// -- the session ---------------------------------------------------------------------------------

void Client::opened(const SessionInfo& info) {
  info_ = info;
  volume_ = info.volume;
  if (info.is_origin())
    unique_ = std::make_unique<UniqueMap>(info.chunks());
  else
    places_ = std::make_unique<PlaceMap>(1);
  world_.coverage.end(Op::open);
  // Some cannot write to the store where the server has it.
  if (info.copies && number_ % 4 != 0) think([this] { mapper_.offer_copies(!leaving_); });
  world_.client_opened(*this);
}

void Client::standing(const Standing& now) {
  standing_ = now;
  if (lease_valid()) wake(lease_waiters_);
}

void Client::granted(std::span<const ChunkRun> unique) {
  for (const ChunkRun& run : unique) unique_->set(run);
}

void Client::learned(ChunkRun chunks, StoreChunk store, bool rewritable,
                     std::span<const std::uint32_t> crcs) {
  places_->learn(chunks, store, rewritable, crcs);
}

void Client::drain() {
  gate_closed_ = true;
  if (in_gate_ == 0) later(world_.random.below(100), [this] { mapper_.drained(); });
}

void Client::leave_gate() {
  if (--in_gate_ > 0 || !gate_closed_) return;
  later(world_.random.below(100), [this] { mapper_.drained(); });
}

void Client::forget(bool unique, bool places) {
  if (unique && unique_) unique_->clear();
  if (places && places_) places_->clear();
}

void Client::reopen() {
  gate_closed_ = false;
  wake(gate_waiters_);
}

void Client::gone(const Status& why) {
  if (!gone_.ok()) return;
  gone_ = why;
  if (!info_) world_.coverage.end(Op::open);
  standing_.lease_until_ms = 0;
  wake(lease_waiters_);
  wake(gate_waiters_);
  wake(chunk_waiters_);
  world_.client_gone(*this, why);
}

void Client::hang_up(const Status& why) {
  world_.trace(
      [&] { return "client " + std::to_string(number_) + " hangs up: " + why.to_string(); });
  if (why.code() == Code::corrupt) world_.fail("a client hangs up: " + why.to_string());
  hang_up_ = why;
}

void Client::handover(const std::vector<std::string>&, std::uint64_t) {}

bool Client::lease_valid() const {
  return gone_.ok() && !said_goodbye_ && world_.scheduler.now_ms() < standing_.lease_until_ms;
}

bool Client::may_deliver(std::uint64_t generation) const {
  return lease_valid() && generation == standing_.read_generation;
}

// -- the end -------------------------------------------------------------------------------------

void Client::leave() {
  leaving_ = true;
  mapper_.offer_copies(false);
  if (said_goodbye_ || !actions_.empty() || !copies_.empty() || !opened()) return;
  said_goodbye_ = true;
  run([this] {
    if (!gone_.ok() && link_ == 0) return dispose();
    mapper_.goodbye([this] {
      gone_ = Status(Code::cancelled, "goodbye");
      dispose();
    });
    later(2000 * kMilli, [this] { dispose(); });
  });
}

// When nothing of it is under way any more.
void Client::dispose() {
  if (disposed_) return;
  disposed_ = true;
  if (gone_.ok()) gone_ = Status(Code::cancelled, "goodbye");
  if (link_ != 0) world_.network.close(link_, false);
  link_ = 0;
  link_open_ = false;
  world_.client_disposed(*this);
}

void Client::doom() {
  doomed_ = true;
  origin_->freeze();
  store_->freeze();
}

bool Client::disk_dead() const {
  return origin_->dead() || store_->dead();
}

void Client::crash(bool silent) {
  dead_ = true;
  if (!info_ && gone_.ok()) world_.coverage.end(Op::open);
  world_.network.forget(this, silent);
  origin_->abandon();
  store_->abandon();
  for (const ActionPtr& a : std::exchange(actions_, {})) {
    a->ended = true;
    world_.action_lost(*this, *a);
  }
  for (std::size_t i = 0; i < copies_.size(); ++i) world_.coverage.end(Op::client_copy);
  copies_.clear();
}

// -- the disks -----------------------------------------------------------------------------------

void Client::arm_ports() {
  std::optional<Micros> due = origin_->next_due();
  const auto other = store_->next_due();
  if (!due || (other && *other < *due)) due = other;
  if (!due || (armed_ != 0 && armed_ <= *due)) return;
  armed_ = *due;
  world_.scheduler.at(*due, [weak = weak_from_this(), number = ++arm_number_] {
    const auto self = weak.lock();
    if (!self || self->dead_ || number != self->arm_number_) return;
    self->armed_ = 0;
    self->poll_ports();
  });
}

// The disks go on while the machine pauses.
void Client::poll_ports() {
  origin_->poll();
  if (!dead_) store_->poll();
  if (!dead_) arm_ports();
}

void Client::submit(bool to_origin, IoKind kind, std::uint64_t offset, std::span<std::byte> data,
                    std::function<void(Status)> done) {
  DiskPort& port = to_origin ? *origin_ : *store_;
  const std::uint64_t number = next_io_++;
  if (kind == IoKind::write) writing_.push_back({number, to_origin, offset, data.size()});
  // What the disk has done it has done, also when the machine pauses and does not hear of it.
  port.submit({kind, offset, data, [this, number, done = std::move(done)](Status status) {
                 std::erase_if(writing_, [&](const Writing& w) { return w.number == number; });
                 run([done, status = std::move(status)] { done(status); });
               }});
  arm_ports();
}

void Client::finish(const ActionPtr& a, const Status& status) {
  if (a->ended) return;
  a->ended = true;
  a->status = status;
  release_chunks(a);
  std::erase(actions_, a);
  world_.action_done(*this, *a, status);
  if (leaving_) leave();
}

std::string Client::describe() const {
  std::string text = "client " + std::to_string(number_) + " of volume " +
                     std::to_string(volume_.value) + (lease_valid() ? "" : ", no lease") +
                     (mapper_.ready() ? "" : ", not ready") + (gate_closed_ ? ", gate closed" : "");
  for (const ActionPtr& a : actions_)
    text += std::string(", ") + op_name(a->op) + " of chunks " +
            std::to_string(a->chunks.start.value) + "+" + std::to_string(a->chunks.count);
  return text + "; ";
}

}  // namespace csnap::sim
