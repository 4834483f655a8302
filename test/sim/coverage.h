// SPDX-License-Identifier: Apache-2.0
// Which fault struck how often while which kind of operation was under way.
#pragma once

#include <array>
#include <cstdint>
#include <iosfwd>
#include <utility>
#include <vector>

namespace csnap::sim {

enum class Fault : std::uint8_t {
  server_crash,
  client_crash,
  power_cut,    // everything at once; unflushed writes kept, lost, torn, in any order
  read_error,   // once
  write_error,  // once
  flush_error,  // once
  device_dead,  // every request fails until somebody starts the server anew
  disk_full,    // a file system under the store has no room for a write
  lying_flush,  // says ok and does nothing
  bit_rot,      // of metadata at rest
  misdirected_read,
  misdirected_write,
  connection_lost,
  half_open,
  late_bytes,    // delayed by more than a lease, perhaps
  client_pause,  // by more than a lease, perhaps
  server_pause,
  count
};
enum class Op : std::uint8_t {
  origin_write,
  origin_read,
  snapshot_read,
  snapshot_write,      // part of chunks
  snapshot_overwrite,  // whole chunks
  flush,
  open,
  create,
  remove,
  rename,
  list,
  dump,
  status,
  locks,
  checkpoint,
  recovery,
  client_copy,  // of chunks about to change
  seal,
  count
};
const char* fault_name(Fault fault);
const char* op_name(Op op);

class Coverage {
 public:
  static constexpr std::size_t kFaults = static_cast<std::size_t>(Fault::count);
  static constexpr std::size_t kOps = static_cast<std::size_t>(Op::count);

  // Operations begin and end.
  void begin(Op op) { ++under_way_[index(op)]; }
  void end(Op op) { --under_way_[index(op)]; }
  void end_all() { under_way_ = {}; }
  std::uint64_t under_way(Op op) const { return under_way_[index(op)]; }
  void struck(Fault fault);

  void add(const Coverage& other);
  std::uint64_t hits(Fault fault, Op op) const { return hits_[index(fault)][index(op)]; }
  void print(std::ostream& out) const;
  // The pairs that are possible and were never hit.
  std::vector<std::pair<Fault, Op>> missing() const;

 private:
  template <class E>
  static constexpr std::size_t index(E e) {
    return static_cast<std::size_t>(e);
  }
  std::array<std::uint64_t, kOps> under_way_{};
  std::array<std::array<std::uint64_t, kOps>, kFaults> hits_{};
  std::array<std::uint64_t, kFaults> struck_{};
};

}  // namespace csnap::sim
