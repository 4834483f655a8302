// SPDX-License-Identifier: Apache-2.0
#include "test/sim/workers.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <system_error>
#include <type_traits>
#include <vector>

namespace csnap::sim {
namespace {

static_assert(std::is_trivially_copyable_v<Totals>);

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// A process that runs every step-th history and writes its totals to a pipe; the end of the pipe
// says that one went wrong.
class Worker {
 public:
  using SeedOf = std::function<std::uint64_t(std::uint64_t n)>;
  Worker(const SeedOf& seed_of, std::uint64_t n, unsigned step) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe");
    std::cout.flush();
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ < 0) fail("fork");
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() == parent) run(seed_of, n, step, ends[1]);
      _exit(1);
    }
    close(ends[1]);
    reports_ = ends[0];
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    close(reports_);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  int reports() const { return reports_; }
  bool read_report(Totals& totals) const {
    Totals one;
    std::size_t got = 0;
    while (got < sizeof(one)) {
      const ssize_t n = read(reports_, reinterpret_cast<char*>(&one) + got, sizeof(one) - got);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      got += static_cast<std::size_t>(n);
    }
    totals.add(one);
    return true;
  }

 private:
  static void run(const SeedOf& seed_of, std::uint64_t n, unsigned step, int reports) {
    for (bool good = true; good; n += step) {
      Totals one;
      good = run_history(seed_of(n), false, false, one);
      std::cout.flush();
      if (good && write(reports, &one, sizeof(one)) != sizeof(one)) fail("report of a history");
    }
  }

  pid_t pid_ = -1;
  int reports_ = -1;
};

}  // namespace

bool run_many(const std::function<std::uint64_t(std::uint64_t n)>& seed_of, unsigned jobs,
              Totals& totals, const std::function<bool()>& enough) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (unsigned n = 0; n < jobs; ++n) workers.push_back(std::make_unique<Worker>(seed_of, n, jobs));
  while (!enough()) {
    std::vector<pollfd> waiting;
    for (const auto& worker : workers) waiting.push_back({worker->reports(), POLLIN, 0});
    if (poll(waiting.data(), waiting.size(), -1) < 0) {
      if (errno == EINTR) continue;
      fail("poll");
    }
    for (std::size_t i = 0; i < workers.size(); ++i)
      if (waiting[i].revents != 0 && !workers[i]->read_report(totals)) return false;
  }
  return true;
}

}  // namespace csnap::sim
