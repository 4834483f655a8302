// SPDX-License-Identifier: Apache-2.0
#include "tools/replicate/stop.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

namespace csnap {
namespace {

constexpr std::chrono::seconds kPatience{5};

}  // namespace

struct StopSignal::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool came = false;
};

StopSignal::StopSignal(std::function<int()> too_late) : state_(std::make_shared<State>()) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([state = state_, signals, too_late = std::move(too_late)] {
    int signal = 0;
    ::sigwait(&signals, &signal);
    {
      const std::lock_guard lock(state->mutex);
      state->came = true;
    }
    state->changed.notify_all();
    std::this_thread::sleep_for(kPatience);
    ::_exit(too_late ? too_late() : 0);
  }).detach();
}

bool StopSignal::came() const {
  const std::lock_guard lock(state_->mutex);
  return state_->came;
}

bool StopSignal::wait_for(std::chrono::milliseconds time) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, time, [&] { return state_->came; });
}

}  // namespace csnap
