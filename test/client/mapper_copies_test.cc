// SPDX-License-Identifier: Apache-2.0
// Copies that the server would have the client make.
#include "test/client/mapper_rig.h"

namespace csnap {

using Known = MapperRig::Known;

namespace {

wire::Copy copy_of(std::uint64_t id, std::uint64_t count = 3) {
  wire::Copy copy;
  copy.set_copy_id(id);
  copy.set_from_origin(true);
  copy.set_from(10);
  copy.set_count(count);
  copy.set_store_chunk(500);
  return copy;
}

class CopyRig : public MapperRig {
 public:
  explicit CopyRig(bool origin = true) : MapperRig(origin) {
    asks_for_copies = true;
    mapper->offer_copies(true);
  }
  std::vector<std::uint64_t> offered() {
    const auto offer = expect<wire::OfferCopies>(wire::MESSAGE_OFFER_COPIES).second;
    return {offer.under_way().begin(), offer.under_way().end()};
  }
  std::string refused() { return expect<wire::CopyDone>(wire::MESSAGE_COPY_DONE).second.error(); }
};

}  // namespace

TEST_CASE("Copies are offered on each connection, to a server that asks for them, by who can") {
  CopyRig rig;
  SECTION("All of that") {
    rig.connect();
    CHECK(rig.offered().empty());
    rig.mapper->offer_copies(true);
    CHECK(rig.sent().empty());
    rig.mapper->disconnected();
    rig.connect(Known::resumed);
    CHECK(rig.offered().empty());
  }
  SECTION("The devices are opened later") {
    rig.mapper->offer_copies(false);
    rig.connect();
    CHECK(rig.sent().empty());
    rig.mapper->offer_copies(true);
    CHECK(rig.offered().empty());
  }
  SECTION("The server does not ask") {
    rig.asks_for_copies = false;
    rig.connect();
    CHECK(rig.sent().empty());
  }
}

TEST_CASE("A copy is made and reported") {
  CopyRig rig;
  rig.connect();
  rig.offered();
  rig.push(wire::MESSAGE_COPY, copy_of(7));
  REQUIRE(rig.host.copies.size() == 1);
  CHECK(rig.host.copies[0].from_origin);
  CHECK(rig.host.copies[0].from == 10);
  CHECK(rig.host.copies[0].to == StoreRun{StoreChunk(500), 3});
  CHECK(rig.host.copies[0].generation == rig.host.now.write_generation);
  rig.mapper->copied(7, std::vector<std::uint32_t>{1, 2, 3});
  const auto done = rig.expect<wire::CopyDone>(wire::MESSAGE_COPY_DONE).second;
  CHECK(done.copy_id() == 7);
  CHECK(done.crcs_size() == 3);
  CHECK(done.error().empty());
  rig.mapper->copied(7, std::vector<std::uint32_t>{1, 2, 3});
  CHECK(rig.sent().empty());

  rig.push(wire::MESSAGE_COPY, copy_of(8));
  rig.mapper->copied(8, Status(Code::io_error, "no"));
  CHECK_FALSE(rig.refused().empty());
}

TEST_CASE("Who makes no copies any more says so") {
  CopyRig rig;
  rig.connect();
  rig.offered();
  rig.mapper->offer_copies(false);
  rig.push(wire::MESSAGE_COPY, copy_of(7));
  CHECK(rig.host.copies.empty());
  CHECK_FALSE(rig.refused().empty());
}

TEST_CASE("A copy that makes no sense is hung up on") {
  CopyRig rig;
  rig.connect();
  wire::Copy copy = copy_of(7);
  SECTION("No chunk") {
    copy.set_count(0);
  }
  SECTION("More than a MiB") {
    copy.set_count(257);
  }
  SECTION("Beyond the origin") {
    copy.set_from(998);
  }
  SECTION("Beyond everything") {
    copy.set_store_chunk(~std::uint64_t{0});
  }
  SECTION("Checksums of the origin") {
    copy.mutable_crcs()->Resize(3, 1);
  }
  SECTION("Too few checksums") {
    copy.set_from_origin(false);
    copy.mutable_crcs()->Resize(2, 1);
  }
  rig.push(wire::MESSAGE_COPY, copy);
  CHECK(rig.host.copies.empty());
  CHECK_FALSE(rig.host.hung_up.ok());
}

TEST_CASE("The next connection hears which copies have not ended") {
  CopyRig rig;
  rig.connect();
  rig.offered();
  rig.push(wire::MESSAGE_COPY, copy_of(7));
  rig.push(wire::MESSAGE_COPY, copy_of(8));
  rig.mapper->disconnected();
  rig.mapper->copied(7, std::vector<std::uint32_t>{1, 2, 3});
  rig.connect(Known::resumed);
  CHECK(rig.offered() == std::vector<std::uint64_t>{8});
  rig.mapper->copied(8, std::vector<std::uint32_t>{1, 2, 3});
  CHECK(rig.expect<wire::CopyDone>(wire::MESSAGE_COPY_DONE).second.copy_id() == 8);
}

TEST_CASE("After a restart copies of before end before the upload does") {
  CopyRig rig;
  rig.connect();
  rig.offered();
  rig.push(wire::MESSAGE_COPY, copy_of(7));
  const std::uint64_t generation = rig.host.now.write_generation;
  rig.mapper->disconnected();
  rig.connect(Known::restarted);
  CHECK(rig.host.now.write_generation != generation);
  CHECK(rig.sent().empty());
  rig.mapper->copied(7, Status(Code::stale, "void"));
  const auto id = rig.expect<wire::UploadDone>(wire::MESSAGE_UPLOAD_DONE).first;
  rig.reply(wire::MESSAGE_UPLOAD_DONE_REPLY, id, wire::UploadDoneReply());
  CHECK(rig.offered().empty());
}

TEST_CASE("Eviction and goodbye wait for copies, and no other begins after them") {
  CopyRig rig(false);
  rig.connect();
  rig.offered();
  rig.push(wire::MESSAGE_COPY, copy_of(7));
  const auto type = GENERATE(wire::MESSAGE_EVICT_DONE, wire::MESSAGE_GOODBYE);
  if (type == wire::MESSAGE_EVICT_DONE) {
    wire::Evict evict;
    evict.set_code(wire::ERROR_STALE);
    rig.push(wire::MESSAGE_EVICT, evict);
    rig.mapper->drained();
  } else {
    rig.mapper->goodbye([] {});
  }
  CHECK(rig.sent().empty());
  rig.push(wire::MESSAGE_COPY, copy_of(8));
  CHECK_FALSE(rig.refused().empty());
  rig.mapper->copied(7, std::vector<std::uint32_t>{1, 2, 3});
  const auto messages = rig.sent();
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].header.type == wire::MESSAGE_COPY_DONE);
  CHECK(messages[1].header.type == type);
}

}  // namespace csnap
