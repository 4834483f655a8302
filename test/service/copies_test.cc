// SPDX-License-Identifier: Apache-2.0
// Copies that clients make, as the session layer sees them. The origin and the store of these tests
// hold zeros, so that a copy is made as soon as it is reported.
#include "store/crc.h"
#include "test/service/service_rig.h"

namespace csnap {
namespace {

ServiceOptions with_copies(ClientCopyPolicy policy = ClientCopyPolicy::on) {
  ServiceOptions options = ServiceRig::default_options();
  options.client_copies = policy;
  return options;
}

class CopyRig : public ServiceRig {
 public:
  explicit CopyRig(ServiceOptions options = with_copies()) : ServiceRig(std::move(options)) {
    admin = open_admin();
    create("s");
  }
  ConnectionId open_offering(const Uuid& session, bool resume = false) {
    const auto c = connect();
    send(c, wire::MESSAGE_HELLO, hello(session, 0, resume));
    REQUIRE(expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>().copies());
    offer(c);
    return c;
  }
  void offer(ConnectionId c, std::vector<CopyId> under_way = {}) {
    wire::OfferCopies m;
    m.mutable_under_way()->Add(under_way.begin(), under_way.end());
    send(c, wire::MESSAGE_OFFER_COPIES, m);
  }
  wire::Copy ask(ConnectionId c, std::uint64_t start, std::uint64_t count) {
    send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(start, count));
    return expect(c, wire::MESSAGE_COPY).as<wire::Copy>();
  }
  void report(ConnectionId c, const wire::Copy& copy, std::uint64_t checksums) {
    wire::CopyDone done;
    done.set_copy_id(copy.copy_id());
    const std::vector<std::byte> zeros(std::size_t{1} << engine().chunk_shift());
    for (std::uint64_t i = 0; i < checksums; ++i) done.add_crcs(crc32c(zeros));
    send(c, wire::MESSAGE_COPY_DONE, done);
  }
  std::uint64_t by_clients() { return engine().status().copied_by_clients; }
  std::uint64_t by_server() { return engine().status().copied_chunks; }

  ConnectionId admin = 0;
};

TEST_CASE("A write is granted when the client reports the copy that it was told to make") {
  CopyRig rig;
  const auto c = rig.open_offering(rig.new_uuid());
  const auto copy = rig.ask(c, 10, 3);
  CHECK(copy.from_origin());
  CHECK(copy.from() == 10);
  CHECK(copy.count() == 3);
  CHECK(copy.crcs_size() == 0);
  CHECK_FALSE(rig.next(c));
  rig.report(c, copy, 3);
  rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
  CHECK(rig.by_clients() == 3);
  CHECK(rig.by_server() == 0);
  rig.report(c, copy, 3);  // once more is nothing
  CHECK_FALSE(rig.next(c));
}

TEST_CASE("A client that says why it could not copy is granted the write all the same") {
  CopyRig rig;
  const auto c = rig.open_offering(rig.new_uuid());
  wire::CopyDone done;
  done.set_copy_id(rig.ask(c, 10, 3).copy_id());
  done.set_error("no such luck");
  rig.send(c, wire::MESSAGE_COPY_DONE, done);
  rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
  CHECK(rig.by_server() == 3);
}

TEST_CASE("A report that makes no sense is invalid, and touches nobody else") {
  CopyRig rig;
  const auto c = rig.open_offering(rig.new_uuid());
  const auto copy = rig.ask(c, 10, 3);
  rig.report(c, copy, 2);
  rig.expect_error(c, wire::ERROR_INVALID);
  rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
  CHECK(rig.by_server() == 3);
  rig.check_others_are_served();
}

TEST_CASE("Whoever waits for a copy does not wait for a client whose connection is lost") {
  CopyRig rig;
  const auto session = rig.new_uuid();
  const auto dying = rig.open_offering(session);
  const auto other = rig.open(rig.new_uuid());
  const auto copy = rig.ask(dying, 10, 3);
  rig.send(other, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(11, 1));
  CHECK_FALSE(rig.next(other));
  rig.disconnect(dying);
  rig.expect(other, wire::MESSAGE_UNIQUE_REPLY);
  CHECK(rig.by_server() == 3);
  CHECK(rig.engine().clients().at(0).provisional_chunks == 3);

  const auto back = rig.open(session, 0, true);
  SECTION("It says that the copy is still under way, and later that it has ended") {
    rig.offer(back, {copy.copy_id()});
    CHECK(rig.engine().clients().at(0).provisional_chunks == 3);
    rig.report(back, copy, 3);
  }
  SECTION("It says that none is under way") {
    rig.offer(back);
  }
  CHECK(rig.engine().clients().at(0).provisional_chunks == 0);
  CHECK_FALSE(rig.next(back));
}

TEST_CASE("A second connection of the session takes the copies from the first") {
  CopyRig rig;
  const auto session = rig.new_uuid();
  const auto first = rig.open_offering(session);
  rig.ask(first, 10, 3);
  rig.open(session, 0, true);
  CHECK(rig.by_server() == 3);
  CHECK(rig.closed(first));
}

TEST_CASE("Copies are asked only of whom the server's policy says, and who has offered them") {
  const auto policy = GENERATE(ClientCopyPolicy::off, ClientCopyPolicy::elsewhere);
  CopyRig rig(with_copies(policy));
  const auto session = rig.new_uuid();
  const auto c = rig.connect();
  rig.send(c, wire::MESSAGE_HELLO, ServiceRig::hello(session));
  CHECK_FALSE(rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>().copies());
  rig.offer(c);
  rig.expect_error(c, wire::ERROR_INVALID);
  rig.send(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(10, 3));
  rig.expect(c, wire::MESSAGE_UNIQUE_REPLY);
  CHECK(rig.by_server() == 3);

  const auto far = rig.connect({}, false);
  rig.send(far, wire::MESSAGE_HELLO, ServiceRig::hello(rig.new_uuid()));
  const auto welcome = rig.expect(far, wire::MESSAGE_WELCOME).as<wire::Welcome>();
  CHECK(welcome.copies() == (policy == ClientCopyPolicy::elsewhere));
  rig.send(far, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(20, 3));
  rig.expect(far, wire::MESSAGE_UNIQUE_REPLY);
  CHECK(rig.by_server() == 6);
}

TEST_CASE("A session that only reads is not asked for copies") {
  CopyRig rig;
  auto hello = ServiceRig::hello(rig.new_uuid());
  hello.set_read_only(true);
  const auto c = rig.connect();
  rig.send(c, wire::MESSAGE_HELLO, hello);
  CHECK_FALSE(rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>().copies());
}

TEST_CASE("Copies of before a restart are nothing to the next server") {
  CopyRig rig;
  const auto session = rig.new_uuid();
  const auto c = rig.open_offering(session);
  const auto copy = rig.ask(c, 10, 3);
  rig.restart();
  const auto back = rig.connect();
  const auto welcome = resume(rig, back, ServiceRig::hello(session));
  REQUIRE(welcome.restarted());
  rig.offer(back);
  rig.expect_error(back, wire::ERROR_INVALID);
  rig.report(back, copy, 3);
  rig.send(back, wire::MESSAGE_UPLOAD_DONE, wire::UploadDone());
  rig.expect(back, wire::MESSAGE_UPLOAD_DONE_REPLY);
  rig.offer(back, {copy.copy_id()});
  const auto next = rig.ask(back, 20, 3);
  CHECK(next.copy_id() > copy.copy_id());
  rig.report(back, next, 3);
  rig.expect(back, wire::MESSAGE_UNIQUE_REPLY);
}

TEST_CASE("A server that stops needs no client for the copies that are still to be made") {
  CopyRig rig;
  const auto c = rig.open_offering(rig.new_uuid());
  rig.submit(c, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(10, 3), 5000);
  rig.service().drain();
  rig.disconnect(c);
  CHECK(rig.by_server() == 0);
  rig.restart();
  rig.check_others_are_served();
}

TEST_CASE("A copy told by nobody to nobody is ignored") {
  CopyRig rig;
  const auto c = rig.open_offering(rig.new_uuid());
  const auto copy = rig.ask(c, 10, 3);
  const auto other = rig.open_offering(rig.new_uuid());
  rig.report(other, copy, 3);
  CHECK_FALSE(rig.next(other));
  CHECK_FALSE(rig.next(c));
  wire::Copy unknown = copy;
  unknown.set_copy_id(copy.copy_id() + 17);
  rig.report(c, unknown, 3);
  CHECK_FALSE(rig.next(c));
  wire::CopyDone done;
  rig.send(rig.admin, wire::MESSAGE_COPY_DONE, done);
  rig.expect_error(rig.admin, wire::ERROR_DENIED);
}

}  // namespace
}  // namespace csnap
