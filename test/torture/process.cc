// SPDX-License-Identifier: Apache-2.0
#include "test/torture/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <set>

extern char** environ;

namespace csnap::torture {

namespace {

// What die() ends: these programs outlive us otherwise.
std::mutex children_mutex;
std::set<pid_t> children;

void remember(pid_t pid) {
  const std::lock_guard lock(children_mutex);
  children.insert(pid);
}

void forget(pid_t pid) {
  const std::lock_guard lock(children_mutex);
  children.erase(pid);
}

pid_t spawn(const std::vector<std::string>& command, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, output, 2);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) die("cannot run " + command[0] + ": " + strerror(error));
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

void die(const std::string& what) {
  fprintf(stderr, "FAILED: %s\n", what.c_str());
  fflush(nullptr);
  {
    const std::lock_guard lock(children_mutex);
    for (const pid_t pid : children) kill(pid, SIGKILL);
  }
  _exit(1);
}

void Process::start(const std::vector<std::string>& command, const std::string& log) {
  const int output = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (output < 0) die("cannot write " + log);
  pid_ = spawn(command, output);
  remember(pid_);
  close(output);
}

bool Process::ended() {
  if (pid_ <= 0 || waitpid(pid_, &status_, WNOHANG) != pid_) return pid_ <= 0;
  forget(pid_);
  pid_ = 0;
  return true;
}

int Process::finish(int signal) {
  if (pid_ <= 0) return 0;
  kill(pid_, signal);
  forget(pid_);
  const int status = wait_for(pid_);
  pid_ = 0;
  return status;
}

std::optional<int> Process::finish_within(int signal, int limit_ms) {
  if (pid_ <= 0) return 0;
  kill(pid_, signal);
  for (int waited = 0; waited < limit_ms; ++waited) {
    if (ended()) return status_;
    usleep(1000);
  }
  return std::nullopt;
}

Outcome run(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) die("no pipe");
  const pid_t pid = spawn(command, ends[1]);
  close(ends[1]);
  Outcome outcome;
  char buffer[4096];
  for (ssize_t got = 0; (got = read(ends[0], buffer, sizeof(buffer))) > 0;)
    outcome.output.append(buffer, static_cast<std::size_t>(got));
  close(ends[0]);
  const int status = wait_for(pid);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return outcome;
}

}  // namespace csnap::torture
