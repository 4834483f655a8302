// SPDX-License-Identifier: Apache-2.0
// How far long work is, on one line of standard error that is written over again and again:
//   checking  42 %  1:07 left
// Threading: one thread.
#pragma once

#include <chrono>
#include <string>

namespace csnap {

class Progress {
 public:
  // shown: false makes everything here do nothing.
  Progress(std::string what, bool shown);
  ~Progress();  // takes the line away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // part: 0 to 1. Writes a few times a second at most, however often it is called.
  // note: more to be said, such as a rate.
  void update(double part, const std::string& note = {});
  // Takes the line away, for something else to be written.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  const std::string what_;
  const bool shown_;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point written_;
  bool on_screen_ = false;
};

// "0:07", "12:30", "3:05:00".
std::string format_duration(std::chrono::seconds duration);
bool is_terminal(int fd);

}  // namespace csnap
