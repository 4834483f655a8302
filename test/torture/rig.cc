// SPDX-License-Identifier: Apache-2.0
#include "test/torture/rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

namespace csnap::torture {

namespace {

constexpr int kFailed = 1, kNotFound = 3, kUnreachable = 4, kInTheWay = 5,
              kFull = 6;  // of csnap-admin
constexpr int kPatienceMs = 60'000;

void wait_for_socket(const std::string& path, Process& process, const std::string& log) {
  for (int waited = 0; !answers(path); waited += 5) {
    if (process.ended()) die("it ended instead of listening on " + path + ", see " + log);
    if (waited > kPatienceMs) die("nobody listens on " + path + ", see " + log);
    pause_ms(5);
  }
}

}  // namespace

void pause_ms(std::uint64_t milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

bool answers(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, socket_path.c_str(), sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool connected =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return connected;
}

std::string make_folder() {
  const char* base = getenv("TMPDIR");
  std::string name = std::string(base == nullptr ? "/tmp" : base) + "/csnap-torture.XX" + "XXXX";
  if (mkdtemp(name.data()) == nullptr) die("cannot make a temporary folder");
  return name;
}

Rig::Rig(const RigOptions& options, const std::string& folder)
    : options_(options),
      folder_(folder.empty() ? make_folder() : folder),
      own_folder_(folder.empty()) {
  address_ = "unix:" + path("csnapd.sock");
  if (options_.trees) {
    std::filesystem::create_directory(path("origin"));
    const auto tree = [this](const char* name, std::uint64_t size) {
      return "tree:" + path(name) + "?size=" + std::to_string(size);
    };
    options_.origin_path = tree("origin", options_.origin_size);
    options_.store_path = tree("store", options_.store_size);
  }
  if (options_.origin_path.empty()) {
    options_.origin_path = path("origin");
    const int fd = open(path("origin").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, static_cast<off_t>(options.origin_size)) != 0) die("no origin");
    close(fd);
  }
  if (options_.store_path.empty()) options_.store_path = path("store");
  make_store();
}

void Rig::make_store() {
  std::vector<std::string> command{options_.programs + "/csnap-mkstore"};
  if (!std::filesystem::exists(options_.store_path))
    command.insert(command.end(), {"--size", std::to_string(options_.store_size)});
  if (!options_.metadata_path.empty())
    command.insert(command.end(), {"--metadata", options_.metadata_path});
  command.insert(command.end(), options_.mkstore.begin(), options_.mkstore.end());
  command.insert(command.end(), {options_.origin_path, options_.store_path});
  if (const auto made = run(command); made.code != 0) die("csnap-mkstore: " + made.output);
}

void Rig::copy(const std::string& from, const std::string& to) {
  const auto copied = run({options_.programs + "/csnap-admin", "copy", "--force", from, to});
  if (copied.code != 0) die("csnap-admin copy: " + copied.output);
}

Rig::~Rig() {
  stop_nbds();
  server_.finish(SIGKILL);
  if (own_folder_ && !keep_) std::filesystem::remove_all(folder_);
}

void Rig::start_server() {
  std::vector<std::string> command{options_.programs + "/csnapd",
                                   "--origin",
                                   options_.origin_path,
                                   "--store",
                                   options_.store_path,
                                   "--listen",
                                   address_};
  if (!options_.metadata_path.empty())
    command.insert(command.end(), {"--metadata", options_.metadata_path});
  // Copies by clients, and by a server that takes over from one that had its clients make them.
  command.insert(command.end(), {"--client-copies", starts_++ % 3 == 2 ? "off" : "on"});
  command.insert(command.end(), options_.server.begin(), options_.server.end());
  server_.start(command, path("csnapd.log"));
}

void Rig::wait_for_server() {
  wait_for_socket(path("csnapd.sock"), server_, path("csnapd.log"));
}

void Rig::launch_nbd(std::size_t number, Process& process) {
  const std::string log = path("nbd" + std::to_string(number) + ".log");
  unlink(nbd_socket(number).c_str());  // left by one that was killed
  process.start({options_.programs + "/csnap-nbd", "--server", address_, "--listen",
                 "unix:" + nbd_socket(number), "--threads", std::to_string(options_.nbd_threads)},
                log);
  wait_for_socket(nbd_socket(number), process, log);
}

std::size_t Rig::start_nbd() {
  const std::size_t number = nbds_.size();
  auto process = std::make_unique<Process>();
  launch_nbd(number, *process);
  nbds_.push_back(std::move(process));
  return number;
}

void Rig::start_nbd_again(std::size_t number) {
  launch_nbd(number, *nbds_[number]);
}

void Rig::stop_nbds() {
  for (auto& process : nbds_) process->finish(SIGTERM);
  nbds_.clear();
}

std::string Rig::nbd_socket(std::size_t number) const {
  return path("nbd" + std::to_string(number) + ".sock");
}

Outcome Rig::admin(std::vector<std::string> words) {
  words.insert(words.begin(), {options_.programs + "/csnap-admin", "--server", address_});
  return run(words);
}

void Rig::admin_surely(const std::vector<std::string>& words) {
  bool lost = false;  // it may have happened
  for (int waited = 0;; waited += 10) {
    const bool might_have_failed = admin_may_fail_;
    const auto outcome = admin(words);
    if (outcome.code == 0) return;
    if (lost && outcome.code == (words[0] == "create" ? kInTheWay : kNotFound)) return;
    const bool excused =
        outcome.code == kUnreachable || ((outcome.code == kFailed || outcome.code == kFull) &&
                                         (might_have_failed || admin_may_fail_));
    if (!excused || waited > kPatienceMs) {
      keep();
      die("csnap-admin " + words[0] + " ended with " + std::to_string(outcome.code) + ": " +
          outcome.output + "; everything is kept in " + folder_);
    }
    lost = true;
    pause_ms(10);
  }
}

std::string Rig::log_tail(const std::string& name) const {
  std::ifstream file(path(name));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  constexpr std::size_t kMost = 4000;
  return text.size() > kMost ? text.substr(text.size() - kMost) : text;
}

}  // namespace csnap::torture
