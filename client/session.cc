// SPDX-License-Identifier: Apache-2.0
#include "client/session.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "client/clock.h"
#include "client/signals_blocked.h"

namespace csnap {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kLongestBackoff{250};
// A server that is just being restarted should hear of it: it waits for sessions that stay away.
constexpr milliseconds kGoodbyePatience{2000};

}  // namespace

VolumeSession::VolumeSession(SessionOptions options, VolumeState& state)
    : options_(std::move(options)),
      state_(state),
      work_(asio::make_work_guard(io_)),
      timer_(io_),
      retry_timer_(io_),
      goodbye_timer_(io_),
      mapper_(options_.mapper, *this),
      addresses_(options_.addresses) {}

VolumeSession::~VolumeSession() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] { say_goodbye(); });
  thread_.join();
}

Result<SessionInfo> VolumeSession::open() {
  auto answer = open_promise_.get_future();
  {
    SignalsBlocked blocked;
    thread_ = std::thread([this] { io_.run(); });
  }
  asio::post(io_, [this] {
    alone_since_ms_ = clock_ms();
    connect();
  });
  return answer.get();
}

// -- operations ----------------------------------------------------------------------------------

template <class F>
void VolumeSession::post(F f) {
  asio::post(io_, [this, f = std::move(f)]() mutable {
    f();
    after_event();
  });
}

// f(done) on the session's thread; done(R) ends the wait.
template <class R, class F>
R VolumeSession::ask(F f) {
  auto promise = std::make_shared<std::promise<R>>();
  auto answer = promise->get_future();
  post([f = std::move(f), promise]() mutable {
    f([promise](R outcome) { promise->set_value(std::move(outcome)); });
  });
  return answer.get();
}

Status VolumeSession::unique(std::vector<ChunkRun> ranges) {
  return ask<Status>([this, ranges = std::move(ranges)](auto done) mutable {
    mapper_.unique(std::move(ranges), std::move(done));
  });
}

Result<ReadMapping> VolumeSession::snapshot_read(std::vector<ChunkRun> ranges) {
  return ask<Result<ReadMapping>>([this, ranges = std::move(ranges)](auto done) mutable {
    mapper_.snapshot_read(std::move(ranges), std::move(done));
  });
}

void VolumeSession::finish_read(std::uint64_t handle) {
  post([this, handle] { mapper_.finish_read(handle); });
}

Result<WriteMapping> VolumeSession::snapshot_write(std::vector<ChunkRun> ranges,
                                                   Mapper::WriteKind kind) {
  return ask<Result<WriteMapping>>([this, ranges = std::move(ranges), kind](auto done) mutable {
    mapper_.snapshot_write(std::move(ranges), kind, std::move(done));
  });
}

Status VolumeSession::finish_write(std::uint64_t handle, std::vector<FinishedRun> runs) {
  return ask<Status>([this, handle, runs = std::move(runs)](auto done) mutable {
    mapper_.finish_write(handle, std::move(runs), std::move(done));
  });
}

void VolumeSession::abandon_write(std::uint64_t handle) {
  post([this, handle] { mapper_.abandon_write(handle); });
}

void VolumeSession::offer_copies(std::function<void(const CopyTask&)> copier) {
  post([this, copier = std::move(copier)]() mutable {
    copier_ = std::move(copier);
    mapper_.offer_copies(true);
  });
}

void VolumeSession::withdraw_copies() {
  static_cast<void>(ask<Status>([this](const auto& done) {
    mapper_.offer_copies(false);
    copier_ = nullptr;
    done(Status());
  }));
}

void VolumeSession::copied(std::uint64_t id, Result<std::vector<std::uint32_t>> crcs) {
  post([this, id, crcs = std::move(crcs)] { mapper_.copied(id, crcs); });
}

// -- what the mapper says
// --------------------------------------------------------------------------

void VolumeSession::opened(const SessionInfo& info) {
  if (info.is_origin()) state_.unique = std::make_unique<UniqueMap>(info.chunks());
  open_answered_ = true;
  open_promise_.set_value(info);
}

void VolumeSession::standing(const Standing& now) {
  state_.publish(now);
}

void VolumeSession::granted(std::span<const ChunkRun> unique) {
  for (const ChunkRun& run : unique) state_.unique->set(run);
}

void VolumeSession::learned(ChunkRun chunks, StoreChunk store, bool rewritable,
                            std::span<const std::uint32_t> crcs) {
  state_.places.learn(chunks, store, rewritable, crcs);
}

void VolumeSession::drain() {
  gates_draining_ = 2;
  const auto one_drained = [this] {
    post([this] {
      if (--gates_draining_ == 0) mapper_.drained();
    });
  };
  state_.writes.close(one_drained);
  state_.reads.close(one_drained);
}

void VolumeSession::forget(bool unique, bool places) {
  if (unique && state_.unique) state_.unique->clear();
  if (places) state_.places.clear();
}

void VolumeSession::reopen() {
  state_.writes.reopen();
  state_.reads.reopen();
}

void VolumeSession::gone(const Status& why) {
  state_.end(why);
  if (open_answered_) return;
  open_answered_ = true;
  open_promise_.set_value(why);
}

void VolumeSession::hang_up(const Status& why) {
  hang_up_ = why;
}

void VolumeSession::handover(const std::vector<std::string>& addresses, std::uint64_t retry_ms) {
  std::vector<Address> usable;
  for (const std::string& text : addresses)
    if (auto address = parse_address(text); address.ok()) usable.push_back(*address);
  // The addresses known before stay in the list: whoever takes over later may be found there.
  for (const Address& a : options_.addresses)
    if (std::find(usable.begin(), usable.end(), a) == usable.end()) usable.push_back(a);
  addresses_ = std::move(usable);
  wait_at_least_ = milliseconds(retry_ms);
  next_address_ = 0;
}

void VolumeSession::copy(const CopyTask& task) {
  copier_(task);
}

// -- the connection
// --------------------------------------------------------------------------------

void VolumeSession::connect() {
  if (!state_.gone().ok()) return;
  link_open_ = false;
  Link::Events events;
  events.opened = [this] { connected(); };
  events.received = [this](const Frame& frame) {
    mapper_.received(frame, clock_ms());
    after_event();
  };
  events.sent = [this] { after_event(); };
  events.closed = [this](const Status& why) { lost(why); };
  link_ = std::make_shared<Link>(io_, std::move(events));
  link_->open(addresses_[next_address_]);
}

void VolumeSession::connected() {
  link_open_ = true;
  mapper_.connected(clock_ms());
  after_event();
}

milliseconds VolumeSession::backoff() const {
  const unsigned rounds = attempts_ / static_cast<unsigned>(addresses_.size());
  if (attempts_ % addresses_.size() != 0 || rounds == 0) return milliseconds(0);
  return std::min(kLongestBackoff, milliseconds(1 << std::min(rounds, 8u)));
}

// Whether the caller of open() has waited long enough.
bool VolumeSession::attempt_over() {
  if (open_answered_ || attempts_ < addresses_.size()) return false;
  return clock_ms() - alone_since_ms_ >= static_cast<std::uint64_t>(options_.open_timeout.count());
}

void VolumeSession::lost(const Status& why) {
  if (link_) link_->close();
  link_.reset();
  if (mapper_.ready() || attempts_ == 0) alone_since_ms_ = clock_ms();
  if (mapper_.ready()) attempts_ = 0;
  mapper_.disconnected();
  if (stopping_ && !state_.gone().ok()) return stop();
  ++attempts_;
  next_address_ = (next_address_ + 1) % addresses_.size();
  if (attempt_over()) return gone(why);
  const auto give_up = static_cast<std::uint64_t>(options_.give_up_after.count());
  if (give_up != 0 && clock_ms() - alone_since_ms_ >= give_up) {
    state_.give_up(why);
    mapper_.fail_pending(why);
  }
  retry_timer_.expires_after(std::max(backoff(), std::exchange(wait_at_least_, milliseconds(0))));
  retry_timer_.async_wait([this](error_code error) {
    if (!error) connect();
  });
}

// Whatever happened may have given the mapper something to say or changed its next deadline.
void VolumeSession::after_event() {
  if (!hang_up_.ok()) return lost(std::exchange(hang_up_, Status()));
  if (!link_ || !link_open_) return;
  if (!link_->sending()) {
    if (OutputBuffer output = mapper_.take_output(); !output.empty())
      link_->send(std::move(output));
  }
  set_timer();
}

void VolumeSession::set_timer() {
  const std::uint64_t at = mapper_.next_tick_ms();
  if (at == ~std::uint64_t{0} || at == timer_at_ms_) return;
  timer_at_ms_ = at;
  const std::uint64_t now = clock_ms();
  timer_.expires_after(milliseconds(at > now ? at - now : 0));
  timer_.async_wait([this](error_code error) {
    if (!error) on_timer();
  });
}

void VolumeSession::on_timer() {
  timer_at_ms_ = 0;
  mapper_.tick(clock_ms());
  after_event();
}

// -- the end
// ---------------------------------------------------------------------------------------

void VolumeSession::say_goodbye() {
  stopping_ = true;
  if (!link_ && !state_.gone().ok()) return stop();
  goodbye_timer_.expires_after(kGoodbyePatience);
  goodbye_timer_.async_wait([this](error_code error) {
    if (!error) stop();
  });
  mapper_.goodbye([this] { stop(); });
  after_event();
}

void VolumeSession::stop() {
  if (link_) link_->close();
  work_.reset();
  io_.stop();
}

}  // namespace csnap
