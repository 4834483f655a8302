// SPDX-License-Identifier: Apache-2.0
#include "server/daemon.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include "server/daemon_connection.h"
#include "server/daemon_listener.h"
#include "server/daemon_receivers.h"
#include "server/engine.h"
#include "server/service.h"

namespace csnap {
namespace {

using boost::system::error_code;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t kReadBuffer = 256u << 10;
// Handlers that one turn may take: enough to make large groups, few enough that answers go out.
constexpr int kMaxHandlersPerTurn = 256;
// Of the clock: while the engine has something going on, and while it has not.
constexpr milliseconds kBusyTick{10};
constexpr milliseconds kIdleTick{100};
// What peers may take to accept their last bytes when the server ends.
constexpr milliseconds kFarewell{250};
// What those who take streams may take to keep what came. Without a server they cannot.
constexpr milliseconds kStreamsEnd{1000};

std::uint64_t random_word() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

std::string process_name(const std::string& program) {
  std::string host(256, '\0');
  if (::gethostname(host.data(), host.size() - 1) != 0) host = "unknown";
  host.resize(host.find('\0') == std::string::npos ? host.size() : host.find('\0'));
  return program + ", pid " + std::to_string(::getpid()) + " on " + host;
}

void write_log(EngineEvents::Level level, const std::string& text) {
  switch (level) {
    case EngineEvents::Level::debug:
      return spdlog::debug("{}", text);
    case EngineEvents::Level::info:
      return spdlog::info("{}", text);
    case EngineEvents::Level::warning:
      return spdlog::warn("{}", text);
    case EngineEvents::Level::error:
      return spdlog::error("{}", text);
  }
}

class Daemon final : public Transport {
 public:
  explicit Daemon(const DaemonOptions& options)
      : options_(options),
        buffer_(kReadBuffer),
        ticker_(io_),
        wanted_turn_(io_),
        signals_(io_),
        receivers_(io_, options.receiver) {
    callbacks_.buffer = buffer_;
    callbacks_.received = [this](Connection& connection, std::span<const std::byte> bytes) {
      begin_turn();
      service_->on_bytes(ids_.at(&connection), bytes);
    };
    callbacks_.take_output = [this](Connection& connection, OutputBuffer& out) {
      service_->take_output(ids_.at(&connection), out);
    };
    callbacks_.closed = [this](Connection& connection, const std::string& why) {
      closed(connection, why);
    };
    callbacks_.given_away = [this](Connection& connection, int socket) {
      given_away(connection, socket);
    };
  }

  Status start();
  Status run();

  // -- Transport -------------------------------------------------------------------------------
  void wants_write(ConnectionId id) override {
    if (auto connection = find(id)) connection->flush();
  }
  void close(ConnectionId id, OutputBuffer last) override {
    if (auto connection = find(id)) connection->close_with(std::move(last));
  }
  Status takes_stream() override { return receivers_.room(coming_.size()); }
  void hand_over(ConnectionId id, OutputBuffer last, StreamRequest request) override {
    const auto connection = find(id);
    if (!connection) return;
    coming_[id] = std::move(request);
    connection->give_away(std::move(last));
  }
  void pause_read(ConnectionId id) override {
    if (auto connection = find(id)) connection->pause_read();
  }
  void resume_read(ConnectionId id) override {
    if (auto connection = find(id)) connection->resume_read();
  }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;

  std::shared_ptr<Connection> find(ConnectionId id) const {
    const auto found = connections_.find(id);
    return found == connections_.end() ? nullptr : found->second;
  }
  Status open_engine();
  Status watch_engine();
  Status listen();
  void wait_engine(Descriptor& descriptor);
  void wait_tick();
  void await_wanted_turn();
  void accepted(StreamSocket socket, Peer peer);
  void closed(Connection& connection, const std::string& why);
  void given_away(Connection& connection, int socket);
  void begin_turn();
  void end_turn();
  void turn();
  void say_ready();
  Status stop();

  const DaemonOptions& options_;
  boost::asio::io_context io_{1};
  std::vector<std::byte> buffer_;
  Connection::Callbacks callbacks_;
  boost::asio::steady_timer ticker_, wanted_turn_;
  std::uint64_t wanted_turn_us_ = 0;
  boost::asio::signal_set signals_;
  int signal_ = 0;  // that asked for the end
  bool in_turn_ = false;

  std::vector<DeviceLock> locks_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Engine> engine_;  // gone before the service
  std::vector<std::unique_ptr<Descriptor>> engine_events_;

  std::vector<std::unique_ptr<Listener>> listeners_;
  ConnectionId last_id_ = 0;
  std::map<ConnectionId, std::shared_ptr<Connection>> connections_;
  std::map<const Connection*, ConnectionId> ids_;  // the same, by the other end
  std::map<ConnectionId, StreamRequest>
      coming_;  // to be given to a receiver, after their last bytes
  Receivers receivers_;
};

// -- start ----------------------------------------------------------------------------------------

Status Daemon::start() {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  signals_.async_wait([this](error_code failed, int signal) {
    if (!failed) signal_ = signal;
  });
  CSNAP_TRY(open_engine());
  CSNAP_TRY(watch_engine());
  Status listening = listen();
  if (!listening) {
    // Nobody was served; leave the store as it was found.
    const Status left = engine_->close();
    if (!left) spdlog::error("closing the store: {}", left.to_string());
    return listening;
  }
  wait_tick();
  say_ready();
  return {};
}

Status Daemon::open_engine() {
  CSNAP_ASSIGN(ServedDevices served, open_served_devices(options_.paths));
  locks_ = std::move(served.locks);

  ServiceOptions service;
  service.lease_ms = options_.lease_ms;
  service.heartbeat_ms = std::max<std::uint32_t>(options_.lease_ms / 10, 1);
  service.devices = std::move(served.descriptions);
  service.incarnation = Uuid::from_random(random_word(), random_word());
  service.server_name = process_name(options_.program);
  service.client_copies = options_.client_copies;
  service.log = write_log;
  service_ = std::make_unique<Service>(std::move(service), *this);

  EngineOptions engine;
  engine.cache_bytes = options_.cache_bytes;
  engine.holder = process_name(options_.program);
  engine.random_seed = random_word();
  engine.copy_patience_ms = options_.lease_ms;
  engine.clock_us = [] {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(now).count());
  };
  auto opened = Engine::open(std::move(served.devices), std::move(engine), *service_);
  if (!opened) return opened.status().with_context("cannot serve " + options_.paths.store);
  engine_ = std::move(opened).value();
  service_->set_engine(*engine_);
  return {};
}

Status Daemon::watch_engine() {
  for (const int fd : engine_->event_fds()) {
    // A descriptor of our own: closing it does not close the device's.
    const int ours = ::dup(fd);
    if (ours < 0) return Status(Code::io_error, "cannot duplicate an event descriptor");
    wait_engine(*engine_events_.emplace_back(std::make_unique<Descriptor>(io_, ours)));
  }
  return {};
}

Status Daemon::listen() {
  for (const auto& address : options_.listen) {
    auto listener = Listener::open(io_, address, [this](StreamSocket socket, Peer peer) {
      accepted(std::move(socket), std::move(peer));
    });
    if (!listener) return listener.status();
    listeners_.push_back(std::move(listener).value());
  }
  std::vector<Address> addresses;
  for (const auto& listener : listeners_) addresses.push_back(listener->address());
  receivers_.set_addresses(addresses);
  return {};
}

void Daemon::say_ready() {
  std::string line =
      "serving " + options_.paths.origin + " with the snapshots of " + options_.paths.store + " on";
  for (const auto& listener : listeners_) line += " " + listener->address().to_string();
  spdlog::debug("store {}, epoch {}", engine_->store_uuid().to_string(), engine_->epoch().value);
  if (options_.ready) options_.ready(line);
}

// -- events ---------------------------------------------------------------------------------------

void Daemon::wait_engine(Descriptor& descriptor) {
  descriptor.async_wait(Descriptor::wait_read, [this, &descriptor](error_code failed) {
    if (failed) return;
    begin_turn();
    engine_->poll();
    wait_engine(descriptor);
  });
}

void Daemon::wait_tick() {
  ticker_.expires_after(engine_->idle() ? kIdleTick : kBusyTick);
  ticker_.async_wait([this](error_code failed) {
    if (failed) return;
    begin_turn();
    wait_tick();
  });
}

void Daemon::accepted(StreamSocket socket, Peer peer) {
  begin_turn();
  const ConnectionId id = ++last_id_;
  const bool local = peer.local;
  const bool in_network = std::ranges::any_of(
      options_.streams_from, [&](const Network& network) { return network.contains(peer.host); });
  spdlog::debug("connection {} from {}", id, peer.name);
  auto connection = std::make_shared<Connection>(std::move(socket), std::move(peer), callbacks_);
  connections_[id] = connection;
  ids_[connection.get()] = id;
  service_->on_connect(id, {local, local || in_network}, local);
  connection->start();
}

void Daemon::closed(Connection& connection, const std::string& why) {
  begin_turn();
  const auto found = ids_.find(&connection);
  const ConnectionId id = found->second;
  spdlog::debug("connection {} from {} ended: {}", id, connection.peer().name, why);
  service_->on_disconnect(id);
  ids_.erase(found);
  coming_.erase(id);
  connections_.erase(id);
}

void Daemon::given_away(Connection& connection, int socket) {
  const auto found = ids_.find(&connection);
  const ConnectionId id = found->second;
  receivers_.start(socket, coming_.at(id), connection.peer().name);
  ids_.erase(found);
  coming_.erase(id);
  connections_.erase(id);
}

// -- turns ----------------------------------------------------------------------------------------

// The session layer wants the time before anything else, and as it is now: leases hang on it.
void Daemon::begin_turn() {
  if (in_turn_) return;
  in_turn_ = true;
  using std::chrono::duration_cast;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto wall = std::chrono::system_clock::now().time_since_epoch();
  service_->tick(static_cast<std::uint64_t>(duration_cast<milliseconds>(now).count()),
                 static_cast<std::uint64_t>(duration_cast<std::chrono::nanoseconds>(wall).count()));
}

void Daemon::end_turn() {
  if (!in_turn_) return;
  service_->end_turn();
  in_turn_ = false;
  await_wanted_turn();
}

void Daemon::await_wanted_turn() {
  const auto until = engine_->wants_turn_us();
  if (!until || *until == wanted_turn_us_) return;
  wanted_turn_us_ = *until;
  wanted_turn_.expires_at(std::chrono::steady_clock::time_point(microseconds(*until)));
  wanted_turn_.async_wait([this](error_code failed) {
    if (!failed) begin_turn();
  });
}

// Everything that is ready makes one turn, and so one group for the next commit.
void Daemon::turn() {
  io_.run_one();
  for (int handlers = 1; handlers < kMaxHandlersPerTurn && io_.poll_one() != 0; ++handlers) {
  }
  end_turn();
}

Status Daemon::run() {
  while (signal_ == 0) turn();
  return stop();
}

Status Daemon::stop() {
  spdlog::info("stopping on signal {}", signal_);
  for (auto& listener : listeners_) listener->close();
  receivers_.stop();
  const auto streams_end = std::chrono::steady_clock::now() + kStreamsEnd;
  while (receivers_.running() > 0 && std::chrono::steady_clock::now() < streams_end) turn();
  begin_turn();
  service_->drain();
  end_turn();
  Status closed = engine_->close();
  // What close() answered goes out, then the connections end, each as soon as its peer took it.
  begin_turn();
  for (auto& descriptor : engine_events_) descriptor->close();
  ticker_.cancel();
  wanted_turn_.cancel();
  signals_.cancel();
  service_->end_turn();
  service_->close_all();
  const auto deadline = std::chrono::steady_clock::now() + kFarewell;
  while (!connections_.empty() && io_.run_one_until(deadline) != 0) {
  }
  if (closed) spdlog::info("the store is clean");
  return closed.with_context("closing the store");
}

}  // namespace

Status run_daemon(const DaemonOptions& options) {
  Daemon daemon(options);
  CSNAP_TRY(daemon.start());
  return daemon.run();
}

}  // namespace csnap
