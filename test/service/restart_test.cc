// SPDX-License-Identifier: Apache-2.0
// Sessions from before a restart of the server.
#include "test/service/service_rig.h"

namespace csnap {
namespace {

TEST_CASE("A session whose snapshot was deleted while it was away is evicted, and then over") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto session = rig.new_uuid();
  rig.open(session, snapshot.id());
  const auto admin = rig.open_admin();
  wire::DeleteSnapshot remove;
  remove.set_name("s");
  remove.set_force(true);
  rig.send(admin, wire::MESSAGE_DELETE_SNAPSHOT, remove);
  rig.expect(admin, wire::MESSAGE_DELETE_SNAPSHOT_REPLY);
  rig.restart();
  const auto second = rig.connect();
  CHECK(resume(rig, second, rig.hello(session, snapshot.id())).restarted());
  CHECK(rig.expect(second, wire::MESSAGE_EVICT).as<wire::Evict>().code() == wire::ERROR_STALE);
  rig.send(second, wire::MESSAGE_UPLOAD_DONE, wire::UploadDone());
  rig.expect(second, wire::MESSAGE_UPLOAD_DONE_REPLY);
  rig.send(second, wire::MESSAGE_EVICT_DONE, wire::EvictDone());
  rig.settle();
  CHECK(rig.closed(second));
}

TEST_CASE("After a restart a session uploads its locks and goes on") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto session = rig.new_uuid();
  const auto first = rig.open(session, snapshot.id());
  const auto held = read_chunks(rig, first, 7, 1);
  rig.restart();
  CHECK(rig.closed(first));
  const auto writer = rig.open(rig.new_uuid());
  rig.send(writer, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(7, 1));
  CHECK_FALSE(rig.next(writer));

  const auto second = rig.connect();
  const auto w = resume(rig, second, rig.hello(session, snapshot.id()));
  CHECK(w.restarted());
  CHECK_FALSE(w.resumed());
  rig.send(second, wire::MESSAGE_SNAPSHOT_READ, with_range<wire::SnapshotRead>(0, 1));
  rig.expect_error(second, wire::ERROR_INVALID);
  wire::UploadLocks upload;
  auto* good = upload.add_reads();
  good->set_read_id(held.read_id());
  *good->add_ranges() = with_range<wire::UniqueRequest>(7, 1).ranges(0);
  auto* bad = upload.add_reads();
  bad->set_read_id(77);
  *bad->add_ranges() = with_range<wire::UniqueRequest>(ServiceRig::kChunks, 1).ranges(0);
  rig.send(second, wire::MESSAGE_UPLOAD_LOCKS, upload);
  const auto answer =
      rig.expect(second, wire::MESSAGE_UPLOAD_LOCKS_REPLY).as<wire::UploadLocksReply>();
  REQUIRE(answer.refused_size() == 1);
  CHECK(answer.refused(0) == 77);
  rig.send(second, wire::MESSAGE_UPLOAD_DONE, wire::UploadDone());
  rig.expect(second, wire::MESSAGE_UPLOAD_DONE_REPLY);
  CHECK_FALSE(rig.next(writer));  // the lock was uploaded: still held
  CHECK(read_chunks(rig, second, 0, 1).read_id() > held.read_id());
  wire::FinishRead finish;
  finish.add_read_ids(held.read_id());
  rig.send(second, wire::MESSAGE_FINISH_READ, finish);
  rig.expect(writer, wire::MESSAGE_UNIQUE_REPLY);
  rig.send(second, wire::MESSAGE_UPLOAD_LOCKS, upload);
  CHECK(rig.expect(second, wire::MESSAGE_UPLOAD_LOCKS_REPLY)
            .as<wire::UploadLocksReply>()
            .refused_size() == 2);
}

TEST_CASE("The end of a read of before a restart, told late, ends no read of after it") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto session = rig.new_uuid();
  const auto before = read_chunks(rig, rig.open(session, snapshot.id()), 7, 1).read_id();
  rig.restart();
  const auto second = rig.connect();
  CHECK(resume(rig, second, rig.hello(session, snapshot.id())).restarted());
  rig.send(second, wire::MESSAGE_UPLOAD_DONE, wire::UploadDone());
  rig.expect(second, wire::MESSAGE_UPLOAD_DONE_REPLY);
  const auto after = read_chunks(rig, second, 7, 1).read_id();
  CHECK(after > before);
  wire::FinishRead late;
  late.add_read_ids(before);
  rig.send(second, wire::MESSAGE_FINISH_READ, late);
  const auto writer = rig.open(rig.new_uuid());
  rig.send(writer, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(7, 1));
  CHECK_FALSE(rig.next(writer));
  wire::FinishRead finish;
  finish.add_read_ids(after);
  rig.send(second, wire::MESSAGE_FINISH_READ, finish);
  rig.expect(writer, wire::MESSAGE_UNIQUE_REPLY);
}

TEST_CASE("Sessions that do not come back after a restart are waited for no longer than a lease") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto reader = rig.open(rig.new_uuid(), snapshot.id());
  read_chunks(rig, reader, 7, 1);
  rig.restart();
  CHECK(rig.engine().absent_clients().size() == 1);
  const auto session = rig.new_uuid();
  rig.disconnect(rig.open(session));
  rig.pass(500);
  const auto writer = rig.open(session, 0, true);
  rig.send(writer, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(7, 1));
  CHECK_FALSE(rig.next(writer));
  rig.pass(700);
  CHECK(rig.engine().absent_clients().empty());
  rig.expect_reply(writer, wire::MESSAGE_UNIQUE_REPLY);
}

TEST_CASE("A session begun anew after a restart holds nothing of before") {
  ServiceRig rig;
  const auto snapshot = rig.create("s");
  const auto session = rig.new_uuid();
  read_chunks(rig, rig.open(session, snapshot.id()), 7, 1);
  rig.restart();
  const auto c = rig.connect();
  rig.send(c, wire::MESSAGE_HELLO, rig.hello(session, snapshot.id()));
  CHECK_FALSE(rig.expect(c, wire::MESSAGE_WELCOME).as<wire::Welcome>().restarted());
  const auto writer = rig.open(rig.new_uuid());
  rig.send(writer, wire::MESSAGE_UNIQUE, with_range<wire::UniqueRequest>(7, 1));
  rig.expect(writer, wire::MESSAGE_UNIQUE_REPLY);
}

}  // namespace
}  // namespace csnap
