// SPDX-License-Identifier: Apache-2.0
// What one history is made of, drawn from its seed: sizes, and the probability of each fault. Most
// faults are off in most histories, so that each is seen alone and with every other.
//
// Faults come in two classes. What crashes, networks, pauses and honest errors do must never be
// seen in the data: the judge is strict. What damages the medium behind everybody's back (rot,
// misdirected transfers, flushes that lie) may cost data, but must be reported: from the moment of
// the damage on, whoever asks may be refused, and must not be given wrong data as good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "test/sim/random.h"
#include "test/sim/theme.h"

namespace csnap::sim {

// How often what is done, in parts of their sum.
struct Shares {
  std::uint64_t origin_write = 25, flush = 6, snapshot_read = 19, snapshot_write = 24, open = 4;
  std::uint64_t leave = 2, administrate = 20;
  // What the administrator then does.
  std::uint64_t create = 28, remove = 16, rename = 14, list = 10, dump = 11, status = 11;
  std::uint64_t locks = 10, seal = 20;
};

struct Profile {
  Profile(Random& random, Theme theme, std::optional<Aim> aim);
  std::string to_string() const;
  std::uint64_t fixed_bytes() const;

  std::uint64_t origin_chunks = 0;
  unsigned chunk_shift = 12;
  std::uint64_t store_bytes = 0;
  std::uint64_t metadata_bytes = 0;  // 0: on the store
  std::uint64_t journal_bytes = 0;
  std::size_t cache_bytes = 0;
  std::uint64_t max_held_runs() const { return cache_bytes >> 12; }
  std::uint64_t lease_ms = 1000;
  std::uint64_t heartbeat_ms = 100;

  std::uint64_t old_snapshots = 0;  // that are there to begin with: see world_age.cc
  std::uint64_t operations = 0;
  std::uint64_t mean_gap_us = 0;  // between operations
  std::size_t max_clients = 0;
  std::size_t max_snapshots = 0;
  std::uint64_t longest_run = 0;  // chunks
  bool crowded = false;           // most of it happens in a few chunks, many writes at a time
  bool slow_clients = false;      // they often wait before they use what they were told
  bool client_copies = false;     // clients make the copies that they need
  bool curious_admin = false;     // looks at something all the time
  bool slow_homes = false;        // what a checkpoint writes to its place takes long
  bool slow_flushes = false;      // what is not durable yet is so for long
  Shares shares;
  std::optional<Aim> aim;

  // Per I/O of the server, and per message to or from it.
  double server_crash_io = 0, server_crash_message = 0;
  double client_crash_io = 0, client_crash_message = 0;
  double power_cut_io = 0, power_cut_message = 0;
  // Per request to a disk.
  double read_error = 0, write_error = 0, flush_error = 0, device_dead = 0, disk_full = 0;
  double slow_disk = 0;
  // Per message.
  double connection_lost = 0, half_open = 0, late_bytes = 0;
  // Per operation of the workload.
  double client_pause = 0, server_pause = 0, restart = 0;
  // Damage; at most one kind in a history.
  double bit_rot = 0, misdirected_read = 0, misdirected_write = 0, lying_flush = 0;
  bool damages() const { return bit_rot + misdirected_read + misdirected_write + lying_flush > 0; }

 private:
  void draw(Random& random);
  void resize(std::uint64_t copies);
  void prepare(Theme theme, Random& random);
  void make_possible(Fault fault);
};

}  // namespace csnap::sim
