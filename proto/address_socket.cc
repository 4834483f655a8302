// SPDX-License-Identifier: Apache-2.0
#include "proto/address_socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace csnap {
namespace {

// Seconds until the first question, between two, and how many of them.
constexpr int kIdle = 10;
constexpr int kInterval = 5;
constexpr int kQuestions = 3;
constexpr unsigned kSilence = 1000 * (kIdle + kInterval * kQuestions);  // ms

}  // namespace

void notice_vanished_peer(int socket) {
  const int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &kIdle, sizeof(kIdle));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &kInterval, sizeof(kInterval));
  ::setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &kQuestions, sizeof(kQuestions));
}

bool peer_is_silent(int socket) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  // Sent again, or asked whether there is room by now, with no answer.
  const int unanswered = info.tcpi_retransmits + info.tcpi_probes;
  return unanswered >= kQuestions && info.tcpi_last_ack_recv >= kSilence;
}

}  // namespace csnap
