// SPDX-License-Identifier: Apache-2.0
// What the clients, the administrator and the killer of torture_volumes share: the volumes with
// the content that they must have, and what was done to them.
//
// Who may touch what: a volume is cut into stripes, each of which belongs to one client thread;
// that thread alone writes and reads there, in the volume and in its model, while it is inside the
// volume's gate. The administrator looks at whole models with the gate closed.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "test/torture/doubts.h"
#include "test/torture/rig.h"

namespace csnap::torture {

inline constexpr std::size_t kThreads = 8;
inline constexpr std::size_t kMostSnapshots = 16;
inline constexpr std::uint64_t kOriginNumber = 0;

class Gate {
 public:
  void enter();
  void leave();
  void close();  // waits until all are out
  void open();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned inside_ = 0;
  bool closed_ = false;
};

struct Volume {
  Volume(std::uint64_t which, std::string first_name, std::vector<std::byte> content)
      : number(which), model(std::move(content)), name_(std::move(first_name)) {}

  std::string name();
  void set_name(std::string name);

  const std::uint64_t number;  // ours, never used again
  std::vector<std::byte> model;
  Doubts doubts;
  Gate gate;
  std::atomic<bool> doomed{false};  // being deleted: requests may fail
  std::atomic<bool> gone{false};
  // Held while connecting by name, and while renaming.
  std::mutex name_mutex;

 private:
  std::string name_;
};

struct Stripe {
  std::uint64_t begin = 0, end = 0;
};

enum class Kind { read, write, zero, trim, flush, event };

// What was done, for the report of a difference.
struct Event {
  Kind kind = Kind::event;
  std::uint32_t sequence = 0;
  std::uint64_t volume = 0;
  std::uint64_t offset = 0, length = 0;
  std::uint64_t began_us = 0, ended_us = 0;
  std::string text;
};

class World {
 public:
  World(Rig& rig, std::uint64_t origin_size);

  Rig& rig() { return rig_; }
  std::uint64_t now_us() const;
  std::uint32_t next_sequence() { return ++sequence_; }
  const std::vector<Stripe>& stripes(std::size_t thread) const { return stripes_[thread]; }

  std::shared_ptr<Volume> origin() const { return origin_; }
  std::vector<std::shared_ptr<Volume>> snapshots();
  void add(std::shared_ptr<Volume> snapshot);
  void remove(const std::shared_ptr<Volume>& snapshot);

  // histories of threads, and one more for administrator and killer
  void record(std::size_t thread, Event event);
  void record_text(std::string text);

  std::atomic<bool> stop{false};
  // Also stops. Only the first is reported.
  void fail(const std::string& what);
  bool failed() const { return failed_; }
  // Compares, and settles what was in doubt; reports the first difference.
  bool same(Volume& volume, std::uint64_t offset, std::span<const std::byte> got, const char* when);

  // Between these, and for requests that began before the end, errors are nobody's fault. Of all
  // volumes, or of those behind one csnap-nbd.
  void trouble_begins();
  void trouble_ends();
  void nbd_goes(std::size_t nbd);
  void nbd_is_back(std::size_t nbd);
  // Could a request through this csnap-nbd that began then fail?
  bool excused(std::uint64_t began_us, std::size_t nbd) const;

  std::atomic<std::uint64_t> operations{0}, bytes{0}, connections{0}, excuses{0};

 private:
  void report(const Volume& volume, std::uint64_t offset, std::span<const std::byte> got,
              std::uint64_t at, const char* when);
  void print_history(std::uint64_t volume, std::uint64_t at);

  Rig& rig_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::atomic<std::uint32_t> sequence_{0};
  std::array<std::vector<Stripe>, kThreads> stripes_;
  const std::shared_ptr<Volume> origin_;
  std::mutex volumes_mutex_;
  std::vector<std::shared_ptr<Volume>> snapshots_;
  static constexpr std::uint64_t kNotOver = ~std::uint64_t{0};
  std::atomic<std::uint64_t> trouble_end_us_{0};
  std::array<std::atomic<std::uint64_t>, 2> nbd_back_us_{};
  std::array<std::deque<Event>, kThreads + 1> histories_;
  std::array<std::mutex, kThreads + 1> history_mutexes_;
  std::mutex fail_mutex_;
  std::atomic<bool> failed_{false};
};

// Content that tells what it is: every 8 bytes hold the request, the volume and the place.
void fill(std::span<std::byte> data, std::uint64_t offset, std::uint32_t sequence,
          std::uint64_t volume);

}  // namespace csnap::torture
