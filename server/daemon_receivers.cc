// SPDX-License-Identifier: Apache-2.0
#include "server/daemon_receivers.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

#include "proto/address_socket.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

std::string end_of(int status) {
  if (WIFSIGNALED(status)) return "was ended by signal " + std::to_string(WTERMSIG(status));
  return "failed with exit code " + std::to_string(WEXITSTATUS(status));
}

// What a child begins with: the socket and standard error, nothing else of ours; signals as if
// nobody had touched them.
class SpawnSettings {
 public:
  explicit SpawnSettings(int socket) {
    ::posix_spawn_file_actions_init(&files_);
    ::posix_spawn_file_actions_adddup2(&files_, socket, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files_, socket, STDOUT_FILENO);
    // Not all that libraries open is close-on-exec.
    ::posix_spawn_file_actions_addclosefrom_np(&files_, STDERR_FILENO + 1);
    ::posix_spawnattr_init(&attributes_);
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&files_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  const posix_spawn_file_actions_t* files() const { return &files_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t files_;
  posix_spawnattr_t attributes_;
};

}  // namespace

Address local_address(const std::vector<Address>& listening) {
  assert(!listening.empty());
  const auto unix_socket = std::ranges::find(listening, Address::Kind::unix_socket, &Address::kind);
  if (unix_socket != listening.end()) return *unix_socket;
  const auto loopback = std::ranges::find_if(listening, [](const Address& address) {
    return address.host == "127.0.0.1" || address.host == "::1" || address.host == "localhost";
  });
  Address address = loopback != listening.end() ? *loopback : listening.front();
  if (address.host == "0.0.0.0") address.host = "127.0.0.1";
  if (address.host == "::") address.host = "::1";
  return address;
}

Receivers::Receivers(boost::asio::io_context& io, std::string program)
    : program_(std::move(program)), ended_(io) {
  if (program_.empty()) return;
  ended_.add(SIGCHLD);
  // Nobody's reading or writing is to be interrupted because a receiver has ended.
  struct sigaction action {};
  ::sigaction(SIGCHLD, nullptr, &action);
  action.sa_flags |= SA_RESTART;
  ::sigaction(SIGCHLD, &action, nullptr);
  wait();
}

void Receivers::set_addresses(const std::vector<Address>& addresses) {
  server_ = local_address(addresses);
}

Status Receivers::room(std::size_t coming) const {
  if (program_.empty())
    return {Code::unsupported,
            "this server takes no streams: there was no csnap-admin beside csnapd when it started"};
  if (stopping_) return {Code::unavailable, "the server is stopping"};
  if (running_.size() + coming < kMost) return {};
  return {Code::busy, std::to_string(kMost) + " streams are coming already; wait for one's end"};
}

Result<pid_t> Receivers::spawn(int socket, const StreamRequest& request) const {
  // The flag is the socket's, whoever has a descriptor of it.
  if (::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) & ~O_NONBLOCK) != 0)
    return errno_status(errno, "the connection cannot be made to block");
  std::vector<std::string> words{program_, "--server", server_.to_string(), "--json", "receive"};
  if (request.force) words.emplace_back("--force");
  if (request.replica) words.emplace_back("--replica");
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const SpawnSettings settings(socket);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, program_.c_str(), settings.files(),
                                   settings.attributes(), arguments.data(), environ);
  if (failed != 0) return errno_status(failed, program_ + ": cannot be started");
  return child;
}

void Receivers::start(int socket, const StreamRequest& request, const std::string& peer) {
  const std::string whose =
      "the stream of " +
      (request.client_name.empty() ? peer : request.client_name + " from " + peer);
  notice_vanished_peer(socket);
  const auto child =
      stopping_ ? Status(Code::unavailable, "the server is stopping") : spawn(socket, request);
  ::close(socket);
  if (!child) return spdlog::error("{} is not taken: {}", whose, child.status().message());
  spdlog::info("{} is taken by pid {}", whose, *child);
  running_[*child] = whose;
}

void Receivers::stop() {
  stopping_ = true;
  for (const auto& [child, whose] : running_) ::kill(child, SIGTERM);
}

void Receivers::wait() {
  ended_.async_wait([this](boost::system::error_code stopped, int) {
    if (stopped) return;
    reap();
    wait();
  });
}

void Receivers::reap() {
  std::erase_if(running_, [](const auto& entry) {
    const auto& [child, whose] = entry;
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) != child) return false;
    if (status == 0)
      spdlog::debug("pid {}, which took {}, is done", child, whose);
    else
      spdlog::warn("pid {}, which took {}, {}", child, whose, end_of(status));
    return true;
  });
}

}  // namespace csnap
