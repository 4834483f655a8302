// SPDX-License-Identifier: Apache-2.0
#include "test/torture/world.h"

#include <string.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace csnap::torture {

namespace {

// Neither a multiple of a chunk nor of a sector, so that threads of one csnap-nbd share both.
constexpr std::uint64_t kStripe = 300'007;
constexpr std::size_t kHistory = 100'000;  // events of one thread that are remembered
constexpr std::size_t kThreadsOfOneNbd = kThreads / 2;
constexpr std::uint64_t kSharedSpan =
    4096;  // between two csnap-nbds chunks are shared, not sectors
const char* const kKinds[] = {"read", "write", "zero", "trim", "flush", ""};

std::uint64_t word_at(std::span<const std::byte> data, std::uint64_t offset, std::uint64_t at) {
  std::uint64_t word = 0;
  const std::uint64_t begin = at & ~std::uint64_t{7};
  if (begin < offset || begin + 8 > offset + data.size()) return 0;
  memcpy(&word, data.data() + (begin - offset), 8);
  return word;
}

}  // namespace

void Gate::enter() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !closed_; });
  ++inside_;
}

void Gate::leave() {
  const std::lock_guard lock(mutex_);
  if (--inside_ == 0) changed_.notify_all();
}

void Gate::close() {
  std::unique_lock lock(mutex_);
  closed_ = true;
  changed_.wait(lock, [this] { return inside_ == 0; });
}

void Gate::open() {
  const std::lock_guard lock(mutex_);
  closed_ = false;
  changed_.notify_all();
}

std::string Volume::name() {
  return name_;
}

void Volume::set_name(std::string name) {
  name_ = std::move(name);
}

World::World(Rig& rig, std::uint64_t origin_size)
    : rig_(rig),
      origin_(
          std::make_shared<Volume>(kOriginNumber, "origin", std::vector<std::byte>(origin_size))) {
  std::uint64_t begin = 0;
  for (std::size_t thread = 0; begin < origin_size; thread = (thread + 1) % kThreads) {
    std::uint64_t end = begin + kStripe;
    if (thread % kThreadsOfOneNbd == kThreadsOfOneNbd - 1) end -= end % kSharedSpan;
    end = std::min(end, origin_size);
    stripes_[thread].push_back({begin, end});
    begin = end;
  }
}

std::uint64_t World::now_us() const {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                        std::chrono::steady_clock::now() - began_)
                                        .count());
}

std::vector<std::shared_ptr<Volume>> World::snapshots() {
  const std::lock_guard lock(volumes_mutex_);
  return snapshots_;
}

void World::add(std::shared_ptr<Volume> snapshot) {
  const std::lock_guard lock(volumes_mutex_);
  snapshots_.push_back(std::move(snapshot));
}

void World::remove(const std::shared_ptr<Volume>& snapshot) {
  const std::lock_guard lock(volumes_mutex_);
  std::erase(snapshots_, snapshot);
}

void World::record(std::size_t thread, Event event) {
  const std::lock_guard lock(history_mutexes_[thread]);
  histories_[thread].push_back(std::move(event));
  if (histories_[thread].size() > kHistory) histories_[thread].pop_front();
}

void World::record_text(std::string text) {
  Event event;
  event.began_us = event.ended_us = now_us();
  event.text = std::move(text);
  record(kThreads, std::move(event));
}

void World::fail(const std::string& what) {
  stop = true;
  if (failed_.exchange(true)) return;
  const std::lock_guard lock(fail_mutex_);
  rig_.keep();
  printf("FAILED at %.3f s: %s\neverything is kept in %s\n", static_cast<double>(now_us()) / 1e6,
         what.c_str(), rig_.folder().c_str());
  fflush(stdout);
}

void World::trouble_begins() {
  trouble_end_us_ = kNotOver;
}
void World::trouble_ends() {
  trouble_end_us_ = now_us();
}
void World::nbd_goes(std::size_t nbd) {
  nbd_back_us_[nbd] = kNotOver;
}
void World::nbd_is_back(std::size_t nbd) {
  nbd_back_us_[nbd] = now_us();
}

bool World::excused(std::uint64_t began_us, std::size_t nbd) const {
  return began_us <= trouble_end_us_ || began_us <= nbd_back_us_[nbd];
}

bool World::same(Volume& volume, std::uint64_t offset, std::span<const std::byte> got,
                 const char* when) {
  std::byte* expected = volume.model.data() + offset;
  volume.doubts.settle({expected, got.size()}, offset, got);
  if (memcmp(expected, got.data(), got.size()) == 0) return true;
  const auto first = std::mismatch(got.begin(), got.end(), expected).first;
  report(volume, offset, got, offset + static_cast<std::uint64_t>(first - got.begin()), when);
  return false;
}

void World::report(const Volume& volume, std::uint64_t offset, std::span<const std::byte> got,
                   std::uint64_t at, const char* when) {
  if (failed_) return;
  std::uint64_t bad = 0, last = at;
  for (std::uint64_t each = at; each < offset + got.size(); ++each)
    if (got[each - offset] != volume.model[each]) ++bad, last = each;
  const std::uint64_t expected = word_at(volume.model, 0, at), found = word_at(got, offset, at);
  char text[600];
  snprintf(text, sizeof(text),
           "%s: volume %" PRIu64 ", request of %zu bytes at %" PRIu64
           ", first difference at %" PRIu64 " (last %" PRIu64 ", %" PRIu64
           " bytes in all): expected %02x, got %02x\n"
           "  expected: request %" PRIu64 ", volume %" PRIu64 ", offset %" PRIu64
           "\n  got:      request %" PRIu64 ", volume %" PRIu64 ", offset %" PRIu64,
           when, volume.number, got.size(), offset, at, last, bad,
           static_cast<unsigned>(volume.model[at]), static_cast<unsigned>(got[at - offset]),
           expected >> 32, (expected >> 24) & 255, (expected & 0xffffff) * 8, found >> 32,
           (found >> 24) & 255, (found & 0xffffff) * 8);
  fail(text);
  print_history(volume.number, at);
}

void World::print_history(std::uint64_t volume, std::uint64_t at) {
  std::vector<Event> events;
  for (std::size_t thread = 0; thread <= kThreads; ++thread) {
    const std::lock_guard lock(history_mutexes_[thread]);
    for (const Event& event : histories_[thread]) {
      const bool near = event.offset < at + 4096 && at < event.offset + event.length + 4096;
      const bool ours = event.volume == volume || event.volume == kOriginNumber;
      if (event.kind == Kind::event || (near && ours)) events.push_back(event);
    }
  }
  std::sort(events.begin(), events.end(),
            [](const Event& a, const Event& b) { return a.began_us < b.began_us; });
  constexpr std::size_t kMost = 150;
  const std::size_t skip = events.size() > kMost ? events.size() - kMost : 0;
  for (std::size_t i = skip; i < events.size(); ++i) {
    const Event& event = events[i];
    printf("  %10.6f-%10.6f %s%s", static_cast<double>(event.began_us) / 1e6,
           static_cast<double>(event.ended_us) / 1e6, kKinds[static_cast<int>(event.kind)],
           event.text.c_str());
    if (event.kind != Kind::event)
      printf(" request %u volume %" PRIu64 " %" PRIu64 "+%" PRIu64, event.sequence, event.volume,
             event.offset, event.length);
    puts("");
  }
  fflush(stdout);
}

void fill(std::span<std::byte> data, std::uint64_t offset, std::uint32_t sequence,
          std::uint64_t volume) {
  for (std::size_t i = 0; i < data.size();) {
    const std::uint64_t at = offset + i;
    const std::uint64_t word = std::uint64_t{sequence} << 32 | (volume & 255) << 24 | at / 8;
    const std::size_t skip = at % 8, count = std::min<std::size_t>(8 - skip, data.size() - i);
    memcpy(data.data() + i, reinterpret_cast<const char*>(&word) + skip, count);
    i += count;
  }
}

}  // namespace csnap::torture
