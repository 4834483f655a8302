// SPDX-License-Identifier: Apache-2.0
// Clients of a live server that send anything, at any time: it never fails, it never says anything
// that cannot be read, and others are served.
//   Operations of {u8 connection and flags, u8 what, ...}; connection flag 128: the next operation
//   comes before the server has had a turn.
#include <algorithm>

#include "test/fuzz/service_rig.h"

using namespace csnap;
using fuzz::FarEnd;
using fuzz::Input;
using fuzz::ServiceRig;

namespace {

// Few names, so that they meet.
std::string name_of(unsigned n) {
  return n % 16 == 15 ? std::string("origin") : "s" + std::to_string(n % 8);
}

void say_hello(Input& input, ServiceRig& rig, FarEnd& end) {
  const unsigned who = input.u8(), volume = input.u8();
  auto hello = ServiceRig::hello(who % 8, static_cast<wire::Role>(1 + (who >> 3) % 4));
  if (who < 128) hello.set_role(wire::ROLE_VOLUME);
  if (volume % 4 == 1) hello.mutable_volume()->set_snapshot_id(volume / 16);
  if (volume % 4 == 2) hello.mutable_volume()->set_snapshot_name(name_of(volume / 16));
  hello.set_resume((volume & 4) != 0);
  hello.set_read_only((volume & 8) != 0);
  if (end.read_id != 0) hello.add_unfinished_reads(end.read_id);
  if (end.id == 0) rig.connect(end, true);
  rig.frame(end, wire::MESSAGE_HELLO, 0, hello);
}

template <class Message>
Message with_ranges(Input& input) {
  Message message;
  for (unsigned n = 1 + input.u8() % 3; n > 0; --n) {
    auto* range = message.add_ranges();
    range->set_start(input.u8());
    range->set_count(input.u8() % 64);
  }
  return message;
}

void ask(Input& input, ServiceRig& rig, FarEnd& end) {
  switch (input.u8() % 4) {
    case 0:
      return rig.frame(end, wire::MESSAGE_UNIQUE, 0, with_ranges<wire::UniqueRequest>(input));
    case 1:
      return rig.frame(end, wire::MESSAGE_SNAPSHOT_READ, 0, with_ranges<wire::SnapshotRead>(input));
    case 2:
      return rig.frame(end, wire::MESSAGE_SNAPSHOT_WRITE, 0,
                       with_ranges<wire::SnapshotWrite>(input));
    default: {
      auto write = with_ranges<wire::SnapshotWrite>(input);
      write.set_overwrite(true);
      return rig.frame(end, wire::MESSAGE_SNAPSHOT_WRITE, 0, write);
    }
  }
}

void finish_write(Input& input, ServiceRig& rig, FarEnd& end) {
  const unsigned twist = input.u8();  // 0: as a good client does
  wire::FinishWrite finish;
  for (const auto& piece : end.places.pieces()) {
    if (!piece.provisional() && twist == 0) continue;
    auto* run = finish.add_runs();
    run->set_start(piece.start() + twist % 4);
    run->set_count(piece.count() + twist / 4 % 2);
    run->set_store_chunk(piece.store_chunk() + twist / 8 % 4);
    for (std::uint64_t i = 0; i < piece.count(); ++i) run->add_crcs(0x98f94189);
  }
  rig.frame(end, wire::MESSAGE_FINISH_WRITE, 0, finish);
}

void report_copy(Input& input, ServiceRig& rig, FarEnd& end) {
  const unsigned twist = input.u8();  // 0: as a good client does
  wire::CopyDone done;
  done.set_copy_id(end.copy.copy_id() + twist % 4);
  for (std::uint64_t i = twist / 4 % 4; i < end.copy.count(); ++i) done.add_crcs(0x98f94189);
  if (twist >= 128) done.set_error("as the input wants");
  rig.frame(end, wire::MESSAGE_COPY_DONE, 0, done);
}

// What a client owes the server.
void answer(Input& input, ServiceRig& rig, FarEnd& end) {
  switch (input.u8() % 10) {
    case 0: {
      wire::BarrierDone done;
      done.set_barrier(end.barrier);
      return rig.frame(end, wire::MESSAGE_BARRIER_DONE, 0, done);
    }
    case 1: {
      wire::FinishRead finish;
      finish.add_read_ids(end.read_id);
      return rig.frame(end, wire::MESSAGE_FINISH_READ, 0, finish);
    }
    case 2:
      return finish_write(input, rig, end);
    case 3:
      return rig.frame(end, wire::MESSAGE_EVICT_DONE, 0, wire::EvictDone());
    case 4:
      return rig.frame(end, wire::MESSAGE_HEARTBEAT, 0, wire::Heartbeat());
    case 5: {
      wire::UploadLocks locks;
      auto* held = locks.add_reads();
      held->set_read_id(input.u8());
      auto* range = held->add_ranges();
      range->set_start(input.u8());
      range->set_count(1 + input.u8() % 8);
      return rig.frame(end, wire::MESSAGE_UPLOAD_LOCKS, 0, locks);
    }
    case 6:
      return rig.frame(end, wire::MESSAGE_UPLOAD_DONE, 0, wire::UploadDone());
    case 8: {
      wire::OfferCopies offer;
      if (input.u8() % 2 == 0) offer.add_under_way(end.copy.copy_id());
      return rig.frame(end, wire::MESSAGE_OFFER_COPIES, 0, offer);
    }
    case 9:
      return report_copy(input, rig, end);
    default:
      return rig.frame(end, wire::MESSAGE_GOODBYE, 0, wire::Goodbye());
  }
}

void administer(Input& input, ServiceRig& rig, FarEnd& end) {
  const unsigned what = input.u8(), which = input.u8();
  switch (what % 10) {
    case 0:
    case 1: {
      wire::CreateSnapshot create;
      create.set_name(name_of(which));
      return rig.frame(end, wire::MESSAGE_CREATE_SNAPSHOT, 0, create);
    }
    case 2: {
      wire::DeleteSnapshot remove;
      remove.set_name(name_of(which));
      remove.set_force((what & 8) != 0);
      return rig.frame(end, wire::MESSAGE_DELETE_SNAPSHOT, 0, remove);
    }
    case 3: {
      wire::RenameSnapshot rename;
      rename.set_from(name_of(which));
      rename.set_to(name_of(which / 16));
      return rig.frame(end, wire::MESSAGE_RENAME_SNAPSHOT, 0, rename);
    }
    case 4: {
      wire::CheckStore check;
      check.set_begin((what & 8) != 0);
      check.set_id(end.check);
      return rig.frame(end, wire::MESSAGE_CHECK_STORE, 0, check);
    }
    case 5: {
      wire::DumpExceptions dump;
      dump.set_from(which);
      dump.set_limit(what / 8);
      return rig.frame(end, wire::MESSAGE_DUMP_EXCEPTIONS, 0, dump);
    }
    case 8: {
      wire::DumpTree dump;
      dump.set_from(which);
      return rig.frame(end, wire::MESSAGE_DUMP_TREE, 0, dump);
    }
    case 9: {
      wire::MapSpace map;
      map.set_from(which * 8);
      return rig.frame(end, wire::MESSAGE_MAP_SPACE, 0, map);
    }
    case 10: {
      wire::SealSnapshot seal;
      seal.set_name(name_of(which));
      return rig.frame(end, wire::MESSAGE_SEAL_SNAPSHOT, 0, seal);
    }
    case 11: {
      wire::SetRole role;
      role.set_role(static_cast<wire::ReplicationRole>(which % 4));
      return rig.frame(end, wire::MESSAGE_SET_ROLE, 0, role);
    }
    case 12: {
      wire::SetReceiving set;
      if (which % 2 != 0) {
        auto& receiving = *set.mutable_receiving();
        receiving.set_name(name_of(which));
        receiving.mutable_identity()->set_uuid(std::string(16, 'u'));
        receiving.set_path(std::string(which, 'p'));
        receiving.set_parent_id(which % 4);
        if (which % 4 != 0) receiving.mutable_parent()->set_uuid(std::string(16, 'v'));
      }
      return rig.frame(end, wire::MESSAGE_SET_RECEIVING, 0, set);
    }
    case 13: {
      wire::SetReplica set;
      set.mutable_replica()->set_store(std::string(16, static_cast<char>(which)));
      set.mutable_replica()->set_address(std::string(which, 'a'));
      set.set_forget((what & 64) != 0);
      return rig.frame(end, wire::MESSAGE_SET_REPLICA, 0, set);
    }
    default:  // lists and the status: types without a body
      return rig.raw_frame(end, static_cast<std::uint16_t>(86 + 2 * (which % 4)), 0, {});
  }
}

void operate(Input& input, ServiceRig& rig) {
  const unsigned head = input.u8();
  FarEnd& end = rig.end(head % ServiceRig::kEnds);
  switch (input.u8() % 12) {
    case 0:
      rig.connect(end, (head & 16) == 0);
      break;
    case 1:
      rig.bytes(end, input.bytes(input.u8()));
      break;
    case 2:
    case 3: {
      const std::uint16_t type = input.u8();
      const std::uint16_t flags = (head & 32) ? input.u8() : std::uint16_t{0};
      rig.raw_frame(end, type, flags, input.bytes(input.u8()));
      break;
    }
    case 4:
      say_hello(input, rig, end);
      break;
    case 5:
    case 6:
      ask(input, rig, end);
      break;
    case 7:
      answer(input, rig, end);
      break;
    case 8:
      administer(input, rig, end);
      break;
    case 9:
      rig.pass(input.u8() * 8u, (head & 32) ? 2000 : 50);
      break;
    case 10:
      if (head & 64)
        rig.restart();
      else
        rig.disconnect(end);
      break;
    default:
      rig.hold(end, !end.held);
  }
  if (head < 128) rig.settle();
}

void check_others_are_served(ServiceRig& rig) {
  for (std::size_t i = 0; i < ServiceRig::kEnds; ++i) rig.disconnect(rig.end(i));
  rig.settle();
  // Past every lease, and every barrier that waits for one.
  rig.pass(5000, 50);
  rig.settle();
  FarEnd& own = rig.own_end();
  rig.connect(own, true);
  rig.frame(own, wire::MESSAGE_HELLO, 0, ServiceRig::hello(99, wire::ROLE_VOLUME));
  rig.settle();
  fuzz::require(own.last_type == wire::MESSAGE_WELCOME, "another client is welcome",
                message_name(own.last_type));
  wire::UniqueRequest unique;
  unique.add_ranges()->set_count(1);
  rig.frame(own, wire::MESSAGE_UNIQUE, 0, unique);
  rig.settle();
  // There may be no space left.
  fuzz::require(own.last_type == wire::MESSAGE_UNIQUE_REPLY || own.errors == 1,
                "another client is served", message_name(own.last_type));
  rig.frame(own, wire::MESSAGE_GET_STATUS, 0, wire::GetStatus());
  rig.settle();
  fuzz::require(own.last_type == wire::MESSAGE_GET_STATUS_REPLY, "the status",
                message_name(own.last_type));
}

}  // namespace

FUZZ_TARGET(messages) {
  ServiceRig rig;
  for (int operations = 0; !input.empty() && operations < 100; ++operations) operate(input, rig);
  check_others_are_served(rig);
}
