// SPDX-License-Identifier: Apache-2.0
#include "test/service/service_rig.h"

#include "store/superblock.h"

namespace csnap {

ServiceOptions ServiceRig::default_options() {
  ServiceOptions options;
  options.lease_ms = 1000;
  options.heartbeat_ms = 100;
  options.server_name = "rig";
  options.devices = {{DeviceDescription::Kind::origin, "/origin", kChunks << 12, "o"},
                     {DeviceDescription::Kind::store, "/store", 16u << 20, "s"}};
  return options;
}

ServiceRig::ServiceRig(ServiceOptions options) : options_(std::move(options)) {
  options_.log = [this](EngineEvents::Level, const std::string& text) { logged.push_back(text); };
  origin_ = std::make_shared<MemoryVolume>("origin", kChunks << 12);
  store_ = std::make_shared<MemoryVolume>("store", 16u << 20);
  LayoutRequest request;
  request.uuid = Uuid::from_random(1, 1);
  request.origin_size = origin_->size();
  request.store_size = store_->size();
  request.journal_size = 256u << 10;
  const auto plan = plan_layout(request);
  REQUIRE(plan.ok());
  MemoryDevice device(store_);
  REQUIRE(format_store(device, nullptr, *plan).ok());
  start();
}

ServiceRig::~ServiceRig() {
  stop();
}

void ServiceRig::start() {
  options_.incarnation = new_uuid();
  service_ = std::make_unique<Service>(options_, *this);
  EngineDevices devices;
  devices.origin = std::make_unique<MemoryDevice>(origin_);
  devices.store = std::make_unique<MemoryDevice>(store_);
  EngineOptions engine_options;
  engine_options.cache_bytes = 1u << 20;
  engine_options.holder = "rig";
  auto opened = Engine::open(std::move(devices), engine_options, *service_);
  INFO(opened.status().to_string());
  REQUIRE(opened.ok());
  engine_ = std::move(opened).value();
  service_->set_engine(*engine_);
  settle();
}

void ServiceRig::stop() {
  service_->drain();
  const Status closed = engine_->close();
  CHECK(closed.ok());
  service_->close_all();
  engine_.reset();
  service_.reset();
}

void ServiceRig::restart() {
  stop();
  start();
}

void ServiceRig::settle() {
  for (int quiet = 0; quiet < 8; ++quiet) {
    ++now_ms_;
    service_->tick(now_ms_, now_ms_ * 1'000'000);
    const auto before = moved_;
    if (engine_->poll() > 0) quiet = 0;
    service_->end_turn();
    if (moved_ != before) quiet = 0;
  }
}

void ServiceRig::pass(std::uint64_t ms) {
  for (const auto end = now_ms_ + ms; now_ms_ < end;) {
    now_ms_ += 10;
    service_->tick(now_ms_, now_ms_ * 1'000'000);
    service_->end_turn();
  }
  settle();
}

void ServiceRig::stall(std::uint64_t ms) {
  now_ms_ += ms;
  settle();
}

void ServiceRig::submit(ConnectionId connection, wire::MessageType type,
                        const google::protobuf::MessageLite& body, std::uint64_t id) {
  OutputBuffer bytes;
  append_frame(bytes, type, 0, id, body);
  service_->on_bytes(connection, bytes);
}

ConnectionId ServiceRig::connect(PeerRights rights, bool local) {
  const ConnectionId id = ++last_connection_;
  ends_[id];
  service_->on_connect(id, rights, local);
  return id;
}

void ServiceRig::disconnect(ConnectionId connection) {
  ends_.at(connection).closed = true;
  service_->on_disconnect(connection);
  settle();
}

std::uint64_t ServiceRig::send(ConnectionId connection, wire::MessageType type,
                               const google::protobuf::MessageLite& body, std::uint64_t id) {
  if (id == 0) id = ++last_request_;
  OutputBuffer bytes;
  append_frame(bytes, type, 0, id, body);
  send_raw(connection, bytes);
  return id;
}

void ServiceRig::send_raw(ConnectionId connection, const std::vector<std::byte>& bytes) {
  service_->on_bytes(connection, bytes);
  settle();
}

std::optional<Received> ServiceRig::next(ConnectionId connection) {
  auto& in = ends_.at(connection).in;
  if (in.empty()) return std::nullopt;
  Received frame = std::move(in.front());
  in.pop_front();
  return frame;
}

Received ServiceRig::expect(ConnectionId connection, wire::MessageType type) {
  auto frame = next(connection);
  REQUIRE(frame.has_value());
  INFO("got " << message_name(frame->header.type)
              << (frame->header.error() ? ": " + frame->as<wire::Error>().message() : ""));
  REQUIRE(frame->header.type == type);
  return std::move(*frame);
}

Received ServiceRig::expect_reply(ConnectionId connection, wire::MessageType type) {
  auto& in = ends_.at(connection).in;
  while (!in.empty() && in.front().header.push()) in.pop_front();
  return expect(connection, type);
}

std::string ServiceRig::expect_error(ConnectionId connection, wire::ErrorCode code) {
  const auto error = expect(connection, wire::MESSAGE_ERROR).as<wire::Error>();
  INFO(error.message());
  CHECK(wire::ErrorCode_Name(error.code()) == wire::ErrorCode_Name(code));
  CHECK_FALSE(error.message().empty());
  return error.message();
}

void ServiceRig::hold_output(ConnectionId connection, bool hold) {
  ends_.at(connection).held = hold;
  if (!hold) take(connection);
  settle();
}

wire::Hello ServiceRig::hello(const Uuid& session, std::uint64_t snapshot, bool resume) {
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_client_name("test");
  hello.set_session(uuid_to_proto(session));
  hello.set_role(wire::ROLE_VOLUME);
  hello.set_resume(resume);
  if (snapshot == 0)
    hello.mutable_volume()->set_origin(true);
  else
    hello.mutable_volume()->set_snapshot_id(snapshot);
  return hello;
}

ConnectionId ServiceRig::open(const Uuid& session, std::uint64_t snapshot, bool resume) {
  const ConnectionId connection = connect();
  send(connection, wire::MESSAGE_HELLO, hello(session, snapshot, resume));
  expect(connection, wire::MESSAGE_WELCOME);
  return connection;
}

ConnectionId ServiceRig::open_admin() {
  const ConnectionId connection = connect();
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_role(wire::ROLE_ADMIN);
  send(connection, wire::MESSAGE_HELLO, hello);
  expect(connection, wire::MESSAGE_WELCOME);
  return connection;
}

wire::SnapshotInfo ServiceRig::create(const std::string& name) {
  const ConnectionId admin = open_admin();
  wire::CreateSnapshot request;
  request.set_name(name);
  send(admin, wire::MESSAGE_CREATE_SNAPSHOT, request);
  const auto made = expect(admin, wire::MESSAGE_CREATE_SNAPSHOT_REPLY);
  disconnect(admin);
  return made.as<wire::CreateSnapshotReply>().snapshot();
}

void ServiceRig::check_others_are_served() {
  const ConnectionId other = open(new_uuid());
  const auto id = send(other, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(0, 1));
  CHECK(expect(other, wire::MESSAGE_UNIQUE_REPLY).header.request_id == id);
  send(other, wire::MESSAGE_GOODBYE, wire::Goodbye());
  expect(other, wire::MESSAGE_GOODBYE_REPLY);
  CHECK(closed(other));
}

void ServiceRig::wants_write(ConnectionId connection) {
  ++writes;
  if (!ends_.at(connection).held) take(connection);
}

void ServiceRig::take(ConnectionId connection) {
  OutputBuffer bytes;
  service_->take_output(connection, bytes);
  arrived(ends_.at(connection), bytes);
}

void ServiceRig::arrived(End& end, const OutputBuffer& bytes) {
  ++moved_;
  end.reader.feed(bytes);
  for (;;) {
    auto frame = end.reader.next();
    REQUIRE(frame.ok());
    if (!frame->has_value()) return;
    end.in.push_back({(*frame)->header, {(*frame)->body.begin(), (*frame)->body.end()}});
  }
}

void ServiceRig::close(ConnectionId connection, OutputBuffer last) {
  auto& end = ends_.at(connection);
  end.closed = true;
  arrived(end, last);
}

void ServiceRig::hand_over(ConnectionId connection, OutputBuffer last, StreamRequest request) {
  streams[connection] = std::move(request);
  arrived(ends_.at(connection), last);
}

void ServiceRig::pause_read(ConnectionId connection) {
  ends_.at(connection).paused = true;
}
void ServiceRig::resume_read(ConnectionId connection) {
  ends_.at(connection).paused = false;
}

}  // namespace csnap
