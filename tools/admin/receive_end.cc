// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/receive_end.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>

namespace csnap {
namespace {

constexpr unsigned kPatience = 5;  // seconds
constexpr auto kLinger = std::chrono::seconds(2);

volatile sig_atomic_t signalled = 0;
int input_fd = -1;
int nothing_fd = -1;  // open on /dev/null

// A read that waits is interrupted, and the next one finds the end: no moment is missed.
void end_input(int) {
  const int before = errno;
  signalled = 1;
  ::dup2(nothing_fd, input_fd);
  ::alarm(kPatience);
  errno = before;
}

}  // namespace

void end_input_on_signal(int input) {
  input_fd = input;
  nothing_fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing_fd < 0) return;  // then a signal ends the process at once
  struct sigaction action {};
  action.sa_handler = end_input;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
}

bool input_ended_by_signal() {
  return signalled != 0;
}

// A socket that is closed with bytes unread resets the connection, and the other side may lose what
// was said last. So it closes first; what it sends until then is thrown away.
void take_leave() {
  if (::shutdown(STDOUT_FILENO, SHUT_WR) != 0) return;
  const auto deadline = std::chrono::steady_clock::now() + kLinger;
  std::array<std::byte, 65536> thrown_away;
  while (std::chrono::steady_clock::now() < deadline) {
    pollfd ready{STDOUT_FILENO, POLLIN, 0};
    if (::poll(&ready, 1, 100) <= 0) continue;
    const ssize_t n = ::recv(STDOUT_FILENO, thrown_away.data(), thrown_away.size(), MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) return;
  }
}

}  // namespace csnap
