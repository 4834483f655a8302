// SPDX-License-Identifier: Apache-2.0
#include "test/sim/coverage.h"

#include <iomanip>
#include <ostream>

namespace csnap::sim {
namespace {

constexpr const char* kFaultNames[] = {
    "server_crash",   "client_crash",    "power_cut",       "read_error",  "write_error",
    "flush_error",    "device_dead",     "disk_full",       "lying_flush", "bit_rot",
    "misdirect_read", "misdirect_write", "connection_lost", "half_open",   "late_bytes",
    "client_pause",   "server_pause",
};
constexpr const char* kOpNames[] = {
    "o.write", "o.read", "s.read", "s.write", "s.overwr", "flush",   "open",    "create", "delete",
    "rename",  "list",   "dump",   "status",  "locks",    "checkpt", "recover", "c.copy", "seal",
};
static_assert(std::size(kFaultNames) == Coverage::kFaults);
static_assert(std::size(kOpNames) == Coverage::kOps);

// Pairs that cannot be, and why.
bool impossible(Fault fault, Op op) {
  if (op != Op::recovery) return false;
  switch (fault) {
    // Recovery takes no simulated time: nothing that happens beside it can happen in it.
    case Fault::client_crash:
    case Fault::connection_lost:
    case Fault::half_open:
    case Fault::late_bytes:
    case Fault::client_pause:
    case Fault::server_pause:
    case Fault::bit_rot:
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* fault_name(Fault fault) {
  return kFaultNames[static_cast<std::size_t>(fault)];
}
const char* op_name(Op op) {
  return kOpNames[static_cast<std::size_t>(op)];
}

void Coverage::struck(Fault fault) {
  ++struck_[index(fault)];
  for (std::size_t op = 0; op < kOps; ++op)
    if (under_way_[op] > 0) ++hits_[index(fault)][op];
}

void Coverage::add(const Coverage& other) {
  for (std::size_t f = 0; f < kFaults; ++f) {
    struck_[f] += other.struck_[f];
    for (std::size_t op = 0; op < kOps; ++op) hits_[f][op] += other.hits_[f][op];
  }
}

void Coverage::print(std::ostream& out) const {
  out << std::left << std::setw(16) << "fault" << std::right << std::setw(9) << "in all";
  for (const char* name : kOpNames) out << std::setw(9) << name;
  out << '\n';
  for (std::size_t f = 0; f < kFaults; ++f) {
    out << std::left << std::setw(16) << kFaultNames[f] << std::right << std::setw(9) << struck_[f];
    for (std::size_t op = 0; op < kOps; ++op) {
      if (impossible(static_cast<Fault>(f), static_cast<Op>(op)))
        out << std::setw(9) << '-';
      else
        out << std::setw(9) << hits_[f][op];
    }
    out << '\n';
  }
}

std::vector<std::pair<Fault, Op>> Coverage::missing() const {
  std::vector<std::pair<Fault, Op>> pairs;
  for (std::size_t f = 0; f < kFaults; ++f) {
    for (std::size_t o = 0; o < kOps; ++o) {
      const std::pair pair{static_cast<Fault>(f), static_cast<Op>(o)};
      if (hits_[f][o] == 0 && !impossible(pair.first, pair.second)) pairs.push_back(pair);
    }
  }
  return pairs;
}

}  // namespace csnap::sim
