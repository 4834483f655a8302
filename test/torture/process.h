// SPDX-License-Identifier: Apache-2.0
// A program run beside this one, its output in a file.
//
// Threading: any thread, one at a time per object. Failures to start anything end this program:
// there is nothing to test then.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace csnap::torture {

// Prints what is wrong and exits with 1, at once.
[[noreturn]] void die(const std::string& what);

class Process {
 public:
  Process() = default;
  // Output and errors are appended to the file `log`.
  void start(const std::vector<std::string>& command, const std::string& log);
  ~Process() { finish(9); }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  bool running() const { return pid_ > 0; }
  pid_t pid() const { return pid_; }
  // Has it ended by itself?
  bool ended();
  // Sends the signal and waits: the status of waitpid(); 0 if it was not running.
  int finish(int signal);
  // The same, but nothing, and it runs on, when that takes longer.
  std::optional<int> finish_within(int signal, int limit_ms);
  // Of the last that ended by itself, as of waitpid().
  int status() const { return status_; }

 private:
  pid_t pid_ = 0;
  int status_ = 0;
};

struct Outcome {
  int code = 0;
  std::string output;  // and errors
};
// Runs it to its end; a signal's number is negative in `code`.
Outcome run(const std::vector<std::string>& command);

}  // namespace csnap::torture
