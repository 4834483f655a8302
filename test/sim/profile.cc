// SPDX-License-Identifier: Apache-2.0
#include "test/sim/profile.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "store/superblock.h"

namespace csnap::sim {
namespace {

// Off in two of three histories; else anything from `least` to `most`, small values as likely as
// large ones.
double often(Random& random, double least, double most) {
  const double at = static_cast<double>(random.below(1 << 20)) / (1 << 20);
  if (random.below(3) != 0) return 0;
  return least * std::pow(most / least, at);
}

constexpr std::uint64_t kBlocksForTree = 96;

}  // namespace

// What of the store is neither data nor tree.
std::uint64_t Profile::fixed_bytes() const {
  LayoutRequest request;
  request.origin_size = origin_chunks << chunk_shift;
  request.store_size = 64u << 20;
  request.metadata_size = metadata_bytes;
  request.chunk_shift = chunk_shift;
  request.journal_size = journal_bytes;
  const auto plan = plan_layout(request);
  return plan.ok() ? plan->data.reserved * kBlockSize : 4u << 20;
}

Profile::Profile(Random& random, Theme theme, std::optional<Aim> target) {
  draw(random);
  prepare(theme, random);
  if (!target) return;
  aim = target;
  make_possible(aim->fault);
  if (aim->op == Op::client_copy) client_copies = true;
  if (aim->op == Op::checkpoint) {
    journal_bytes = std::min<std::uint64_t>(journal_bytes, 96u << 12);
    slow_homes = true;
  }
}

// A store with room for so many copied chunks.
void Profile::resize(std::uint64_t copies) {
  store_bytes = fixed_bytes() + kBlocksForTree * kBlockSize + (copies << chunk_shift);
  store_bytes = (store_bytes >> chunk_shift) << chunk_shift;
}

void Profile::prepare(Theme theme, Random& random) {
  switch (theme) {
    case Theme::none:
      return;
    case Theme::tight:
      chunk_shift = 12;
      origin_chunks = random.between(150, 600);
      old_snapshots = random.between(1, 3);
      if (random.below(2) == 0) {
        // With leaves that go when a snapshot does, for data to come there.
        origin_chunks = random.between(1200, 2400);
        old_snapshots = 3;
      }
      metadata_bytes = 0;
      journal_bytes = 2u << 20;  // few checkpoints
      // What is kept for the tree is taken by data when nothing else is left.
      resize(std::max(origin_chunks * old_snapshots / 3, kBlocksForTree + 44) - kBlocksForTree -
             24);
      max_snapshots = old_snapshots + 1;
      slow_flushes = random.below(3) != 0;
      mean_gap_us = 200u << random.below(4);
      operations = random.between(500, 1000);
      max_clients = 8;
      if (random.below(2) == 0) {
        // What is deleted is used again, much at a time. No pools: they take what is free.
        crowded = slow_clients = client_copies = false;
        slow_flushes = true;
        slow_disk = client_pause = 0;
        mean_gap_us = 100u << random.below(3);
        operations = random.between(1000, 2000);
        longest_run = 16;
        shares = {.origin_write = 60,
                  .flush = 0,
                  .snapshot_read = 5,
                  .snapshot_write = 0,
                  .open = 3,
                  .leave = 0,
                  .administrate = 25,
                  .create = 40,
                  .remove = 50};
      } else {
        // What several snapshots share is given up by all, and used again, while somebody reads.
        origin_chunks = random.between(48, 96);
        resize(random.between(0, 40));
        store_bytes -= 64 * kBlockSize;
        slow_clients = true;
        crowded = false;
        longest_run = 16;
        client_pause = std::max(client_pause, 0.03);
        late_bytes = std::max(late_bytes, 0.01);
        half_open = std::max(half_open, 0.003);
        shares = {.origin_write = 25,
                  .flush = 0,
                  .snapshot_read = 30,
                  .snapshot_write = 20,
                  .open = 6,
                  .create = 45,
                  .remove = 45};
      }
      break;
    case Theme::returning:
      restart = std::max(restart, 0.04);
      server_crash_message = std::max(server_crash_message, 2e-3);
      client_pause = std::max(client_pause, 0.05);
      connection_lost = std::max(connection_lost, 0.08);
      late_bytes = std::max(late_bytes, 0.01);
      crowded = slow_clients = true;
      mean_gap_us = 800u << random.below(4);
      shares.administrate = 30;
      shares.create = 60;
      break;
    case Theme::crowd:
      crowded = slow_clients = true;
      max_clients = 8;
      max_snapshots = old_snapshots + random.between(1, 2);
      mean_gap_us = 200u << random.below(5);
      shares = {.origin_write = 40, .snapshot_read = 35, .snapshot_write = 15, .administrate = 8};
      if (random.below(3) == 0) shares.snapshot_write = 60;
      if (random.below(3) == 0) break;
      // Few snapshots, written to, sealed, and written to again.
      old_snapshots = random.between(1, 2);
      max_snapshots = old_snapshots + 1;
      operations = random.between(300, 600);
      client_copies = curious_admin = false;
      shares.snapshot_write = 40;
      shares.open = shares.leave = 12;
      shares.origin_write = 10;
      shares.administrate = 30;
      shares.create = 4;
      shares.remove = shares.rename = 1;
      shares.seal = 100;
      break;
    case Theme::hurried:
      // New exceptions all the time, so that the journal goes round while a checkpoint goes home.
      chunk_shift = 12;
      origin_chunks = random.between(1200, 1800);
      old_snapshots = 1;
      journal_bytes = random.between(300, 600) << 12;
      metadata_bytes = random.below(4) == 0 ? 8u << 20 : 0;
      resize(3 * origin_chunks);
      slow_homes = true;
      slow_disk = 0;
      crowded = slow_clients = false;
      mean_gap_us = 500u << random.below(2);
      operations = random.between(1000, 2000);
      longest_run = 2;
      max_clients = 8;
      max_snapshots = 8;
      shares = {.origin_write = 85,
                .flush = 0,
                .snapshot_read = 3,
                .snapshot_write = 5,
                .open = 2,
                .leave = 0,
                .administrate = 5,
                .create = 60};
      break;
    case Theme::aimed:
      slow_disk = std::max(slow_disk, 0.2);
      break;
  }
}

// The fault may happen: now and then, and when its moment has come (Context::strikes()).
void Profile::make_possible(Fault fault) {
  bit_rot = misdirected_read = misdirected_write = lying_flush = 0;
  const auto possible = [](double& chance) { chance = std::max(chance, 1e-6); };
  switch (fault) {
    case Fault::read_error:
      return possible(read_error);
    case Fault::write_error:
      return possible(write_error);
    case Fault::flush_error:
      return possible(flush_error);
    case Fault::device_dead:
      return possible(device_dead);
    case Fault::disk_full:
      return possible(disk_full);
    case Fault::lying_flush:
      return possible(lying_flush);
    case Fault::bit_rot:
      return possible(bit_rot);
    case Fault::misdirected_read:
      // A tree that does not fit the cache, and much to ask it.
      cache_bytes = 64u << 10;
      chunk_shift = 12;
      origin_chunks = std::max<std::uint64_t>(origin_chunks, 1200);
      old_snapshots = std::max<std::uint64_t>(old_snapshots, 2);
      max_snapshots = std::max(max_snapshots, old_snapshots + 2);
      crowded = false;
      mean_gap_us = std::min<std::uint64_t>(mean_gap_us, 400);
      resize(2 * origin_chunks);
      return possible(misdirected_read);
    case Fault::misdirected_write:
      journal_bytes = std::min<std::uint64_t>(journal_bytes, 96u << 12);  // many checkpoints
      return possible(misdirected_write);
    default:
      return;
  }
}

void Profile::draw(Random& random) {
  chunk_shift = random.below(3) != 0 ? 12 : static_cast<unsigned>(random.between(13, 16));
  origin_chunks = chunk_shift == 12 ? random.between(48, 400) : random.between(24, 96);
  if (random.below(4) == 0) {
    chunk_shift = 12;
    origin_chunks = random.between(400, 1800);
    old_snapshots = random.between(1, 4);
  }
  journal_bytes = 256u << 10;
  if (random.below(2) == 0) journal_bytes = random.between(65, 160) << 12;
  if (random.below(4) == 0) metadata_bytes = random.between(3, 6) << 20;
  // From nearly always full to never. An old store is full to begin with, or nearly so.
  const std::uint64_t least =
      old_snapshots > 0 ? origin_chunks * old_snapshots / 3 : origin_chunks / 4;
  const std::uint64_t copies = random.below(4) == 0
                                   ? origin_chunks * random.between(1, 6)
                                   : random.between(least, least + origin_chunks / 4);
  resize(copies);
  cache_bytes = random.below(2) == 0 ? 64u << 10 : 1u << 20;

  operations = random.between(60, 400);
  mean_gap_us = 200u << random.below(7);
  max_clients = random.between(2, 8);
  max_snapshots =
      old_snapshots + (random.below(2) == 0 ? random.between(1, 2) : random.between(3, 8));
  longest_run = random.below(2) == 0 ? 4 : 48;
  crowded = random.below(3) == 0;
  slow_clients = random.below(3) == 0;
  curious_admin = random.below(3) == 0;
  client_copies = operations % 2 == 0;  // no draw: seeds keep their meaning where it is off

  server_crash_io = often(random, 1e-4, 1e-2);
  server_crash_message = often(random, 1e-4, 1e-2);
  client_crash_io = often(random, 1e-4, 2e-2);
  client_crash_message = often(random, 1e-4, 1e-2);
  power_cut_io = often(random, 1e-4, 1e-2);
  power_cut_message = often(random, 1e-4, 5e-3);
  read_error = often(random, 1e-4, 2e-2);
  write_error = often(random, 1e-4, 2e-2);
  flush_error = often(random, 1e-4, 2e-2);
  device_dead = often(random, 1e-5, 2e-3);
  disk_full = often(random, 1e-4, 2e-2);
  slow_disk = often(random, 1e-3, 0.5);
  connection_lost = often(random, 1e-3, 5e-2);
  half_open = often(random, 1e-4, 1e-2);
  late_bytes = often(random, 1e-4, 2e-2);
  client_pause = often(random, 1e-3, 5e-2);
  server_pause = often(random, 1e-3, 2e-2);
  restart = often(random, 1e-3, 2e-2);
  // Clients that come back late, on connections that break, into a crowd.
  if (random.below(4) == 0) {
    client_pause = std::max(client_pause, 0.05);
    connection_lost = std::max(connection_lost, 0.08);
    late_bytes = std::max(late_bytes, 0.01);
    crowded = slow_clients = true;
  }
  // One kind of it at most, and in few histories, for they end with it. Kept apart from the rest of
  // the draws, so that damage can be added without changing a history up to its first harm.
  switch (random.below(16)) {
    case 0:
      bit_rot = 0.02;
      break;
    case 1:
      misdirected_read = 0.4;
      restart = std::max(restart, 0.04);  // a cold cache has to read
      break;
    case 2:
      misdirected_write = 0.2;
      break;
    case 3:
      lying_flush = 0.01;
      if (power_cut_io == 0) power_cut_io = 1e-3;
      break;
    default:
      break;
  }
  curious_admin |= damages();
}

std::string Profile::to_string() const {
  std::ostringstream out;
  out << origin_chunks << " chunks of " << (1u << chunk_shift >> 10) << " KiB, store "
      << (store_bytes >> 20) << " MiB, journal " << (journal_bytes >> 10) << " KiB, cache "
      << (cache_bytes >> 10) << " KiB" << (metadata_bytes ? ", separate metadata" : "") << ", "
      << operations << " operations";
  const auto add = [&](const char* name, double value) {
    if (value > 0) out << ", " << name << ' ' << value;
  };
  if (old_snapshots > 0) out << ", " << old_snapshots << " old snapshots";
  if (crowded) out << ", crowded";
  if (slow_clients) out << ", slow clients";
  if (client_copies) out << ", copies by clients";
  if (slow_homes) out << ", slow checkpoints";
  if (slow_flushes) out << ", slow flushes";
  if (aim) out << ", " << fault_name(aim->fault) << " aimed at " << op_name(aim->op);
  add("server_crash_io", server_crash_io);
  add("server_crash_message", server_crash_message);
  add("client_crash_io", client_crash_io);
  add("client_crash_message", client_crash_message);
  add("power_cut_io", power_cut_io);
  add("power_cut_message", power_cut_message);
  add("read_error", read_error);
  add("write_error", write_error);
  add("flush_error", flush_error);
  add("device_dead", device_dead);
  add("disk_full", disk_full);
  add("slow_disk", slow_disk);
  add("connection_lost", connection_lost);
  add("half_open", half_open);
  add("late_bytes", late_bytes);
  add("client_pause", client_pause);
  add("server_pause", server_pause);
  add("restart", restart);
  add("bit_rot", bit_rot);
  add("misdirected_read", misdirected_read);
  add("misdirected_write", misdirected_write);
  add("lying_flush", lying_flush);
  return out.str();
}

}  // namespace csnap::sim
