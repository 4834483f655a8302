// SPDX-License-Identifier: Apache-2.0
#include "test/fuzz/service_rig.h"

#include "proto/convert.h"

namespace csnap::fuzz {

ServiceRig::ServiceRig()
    : origin_(std::make_shared<MemoryVolume>("origin", kOriginChunks * kBlockSize)),
      store_(new_store()) {
  start();
}

ServiceRig::~ServiceRig() {
  stop();
}

void ServiceRig::start() {
  ServiceOptions options;
  options.lease_ms = 1000;
  options.heartbeat_ms = 100;
  options.server_name = "fuzz";
  options.client_copies = ClientCopyPolicy::on;
  options.devices = {{DeviceDescription::Kind::origin, "/origin", origin_->size(), "o"},
                     {DeviceDescription::Kind::store, "/store", store_->size(), "s"}};
  options.max_requests = 32;
  options.max_reads = 64;
  options.max_output = 64u << 10;
  options.incarnation = Uuid::from_random(++incarnations_, 9);
  options.log = [](EngineEvents::Level, const std::string&) {};
  service_ = std::make_unique<Service>(options, *this);
  EngineDevices devices;
  devices.origin = std::make_unique<MemoryDevice>(origin_);
  devices.store = std::make_unique<MemoryDevice>(store_);
  EngineOptions engine_options;
  engine_options.cache_bytes = 1u << 20;
  engine_options.copy_bytes = 1u << 20;
  engine_options.holder = "fuzz";
  auto opened = Engine::open(std::move(devices), engine_options, *service_);
  require_ok(opened.status(), "opening the store");
  engine_ = std::move(opened).value();
  service_->set_engine(*engine_);
  settle();
}

void ServiceRig::stop() {
  service_->drain();
  require_ok(engine_->close(), "closing the store");
  service_->close_all();
  engine_.reset();
  service_.reset();
}

void ServiceRig::restart() {
  stop();
  for (FarEnd& end : ends_) end = FarEnd();
  start();
}

void ServiceRig::settle() {
  int turns = 0;
  for (int quiet = 0; quiet < 4; ++quiet) {
    ++now_ms_;
    service_->tick(now_ms_, now_ms_ * 1'000'000);
    const auto before = moved_;
    if (engine_->poll() > 0) quiet = 0;
    service_->end_turn();
    if (moved_ != before) quiet = 0;
    require(++turns < 20'000, "the server comes to rest");
  }
}

void ServiceRig::pass(std::uint64_t ms, std::uint64_t step_ms) {
  for (const auto end = now_ms_ + ms; now_ms_ < end;) {
    now_ms_ += step_ms;
    service_->tick(now_ms_, now_ms_ * 1'000'000);
    engine_->poll();
    service_->end_turn();
  }
}

void ServiceRig::connect(FarEnd& end, bool admin_allowed) {
  disconnect(end);
  end.id = ++last_connection_;
  service_->on_connect(end.id, {admin_allowed, admin_allowed}, true);
}

void ServiceRig::disconnect(FarEnd& end) {
  if (end.id != 0) service_->on_disconnect(end.id);
  end = FarEnd();
}

void ServiceRig::bytes(FarEnd& end, std::span<const std::byte> bytes) {
  if (end.id != 0) service_->on_bytes(end.id, bytes);
}

void ServiceRig::frame(FarEnd& end, std::uint16_t type, std::uint16_t flags,
                       const google::protobuf::MessageLite& body) {
  OutputBuffer out;
  append_frame(out, static_cast<wire::MessageType>(type), flags, ++requests_, body);
  bytes(end, out);
}

void ServiceRig::raw_frame(FarEnd& end, std::uint16_t type, std::uint16_t flags,
                           std::span<const std::byte> body) {
  OutputBuffer out(kFrameHeaderSize);
  encode_header({static_cast<std::uint32_t>(body.size()), type, flags, ++requests_},
                std::span<std::byte, kFrameHeaderSize>(out));
  out.insert(out.end(), body.begin(), body.end());
  bytes(end, out);
}

void ServiceRig::hold(FarEnd& end, bool held) {
  end.held = held;
  if (!held && end.id != 0) wants_write(end.id);
}

wire::Hello ServiceRig::hello(unsigned session, wire::Role role) {
  wire::Hello hello;
  hello.set_protocol_version(kProtocolVersion);
  hello.set_client_name("fuzz");
  hello.set_session(uuid_to_proto(Uuid::from_random(session + 1, 7)));
  hello.set_role(role);
  hello.mutable_volume()->set_origin(true);
  return hello;
}

FarEnd* ServiceRig::find(ConnectionId connection) {
  for (FarEnd& end : ends_)
    if (end.id == connection) return &end;
  return nullptr;
}

void ServiceRig::wants_write(ConnectionId connection) {
  FarEnd* end = find(connection);
  require(end != nullptr, "output is for connections there are");
  if (end->held) return;
  OutputBuffer out;
  service_->take_output(connection, out);
  arrived(*end, out);
}

void ServiceRig::close(ConnectionId connection, OutputBuffer last) {
  FarEnd* end = find(connection);
  require(end != nullptr, "what is closed was open");
  // A far end that took nothing has lost frames, not parts of frames.
  arrived(*end, last);
  end->id = 0;
}

// What comes from here on is no business of the service.
void ServiceRig::hand_over(ConnectionId connection, OutputBuffer last, StreamRequest) {
  close(connection, std::move(last));
}

void ServiceRig::arrived(FarEnd& end, const OutputBuffer& bytes) {
  ++moved_;
  end.reader.feed(bytes);
  for (;;) {
    auto next = end.reader.next();
    require_ok(next.status(), "a frame of the server's");
    if (!next->has_value()) return;
    arrived(end, **next);
  }
}

void ServiceRig::arrived(FarEnd& end, const Frame& frame) {
  ++end.frames;
  end.last_type = frame.header.type;
  const auto parse = [&](google::protobuf::MessageLite& message) {
    require_ok(parse_body(frame, message), "a message of the server's");
  };
  switch (frame.header.type) {
    case wire::MESSAGE_ERROR: {
      wire::Error error;
      parse(error);
      ++end.errors;
      require(error.code() != wire::ERROR_INTERNAL, "the server made no mistake", error.message());
      return;
    }
    case wire::MESSAGE_SNAPSHOT_READ_REPLY: {
      wire::SnapshotReadReply reply;
      parse(reply);
      if (reply.read_id() != 0) end.read_id = reply.read_id();
      return;
    }
    case wire::MESSAGE_SNAPSHOT_WRITE_REPLY:
      return parse(end.places);
    case wire::MESSAGE_COPY:
      return parse(end.copy);
    case wire::MESSAGE_BARRIER_BEGIN: {
      wire::BarrierBegin begin;
      parse(begin);
      end.barrier = begin.barrier();
      return;
    }
    case wire::MESSAGE_CHECK_STORE_REPLY: {
      wire::CheckStoreReply reply;
      parse(reply);
      end.check = reply.id();
      for (const auto& finding : reply.findings())
        require(!finding.damage(), "the live check finds no damage", finding.what());
      return;
    }
    default:
      return;
  }
}

}  // namespace csnap::fuzz
