// SPDX-License-Identifier: Apache-2.0
#include "tools/common/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

namespace csnap {

bool is_terminal(int fd) {
  return ::isatty(fd) != 0;
}

std::string format_duration(std::chrono::seconds duration) {
  const long s = std::max<long>(0, static_cast<long>(duration.count()));
  std::array<char, 48> text{};
  if (s >= 3600)
    std::snprintf(text.data(), text.size(), "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text.data(), text.size(), "%ld:%02ld", s / 60, s % 60);
  return text.data();
}

Progress::Progress(std::string what, bool shown) : what_(std::move(what)), shown_(shown) {}

Progress::~Progress() {
  clear();
}

void Progress::update(double part, const std::string& note) {
  constexpr std::chrono::milliseconds kEvery{250};
  const auto now = Clock::now();
  if (!shown_ || now - written_ < kEvery) return;
  written_ = now;
  on_screen_ = true;
  part = std::clamp(part, 0.0, 1.0);
  std::string left;
  const std::chrono::duration<double> so_far = now - began_;
  // The first moments say little about the rest.
  if (part > 0.01 && so_far.count() > 1)
    left = format_duration(
               std::chrono::seconds(static_cast<long>(so_far.count() / part * (1 - part) + 0.5))) +
           " left";
  const char* gap = note.empty() ? "" : "  ";
  std::fprintf(stderr, "\r\033[K%s %3.0f %%  %s%s%s", what_.c_str(), part * 100, note.c_str(), gap,
               left.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (!on_screen_) return;
  on_screen_ = false;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

}  // namespace csnap
