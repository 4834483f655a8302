// SPDX-License-Identifier: Apache-2.0
// An origin and a store in a folder of their own, the csnapd that serves them, and csnap-nbds. All
// end with the rig; the folder stays when something failed (keep()).
//
// Threading: start_server() and stop_server() by one thread; the rest by any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "test/torture/process.h"

namespace csnap::torture {

struct RigOptions {
  std::string programs;  // the folder with csnapd and the others
  std::uint64_t origin_size = 64u << 20;
  std::uint64_t store_size = 1u << 30;
  // Where these are, else in the folder. They are there already; the store may be a file that is
  // not there yet.
  std::string origin_path, store_path, metadata_path;
  bool trees = false;                // both as trees of block files in the folder
  std::vector<std::string> mkstore;  // more options
  std::vector<std::string> server;
  int nbd_threads = 8;
};

class Rig {
 public:
  // folder: one that is there already and stays.
  explicit Rig(const RigOptions& options, const std::string& folder = "");
  ~Rig();

  void start_server();
  // The exit status as of waitpid().
  int stop_server(int signal) { return server_.finish(signal); }
  // Nothing, and it runs on, when that takes longer.
  std::optional<int> stop_server_within(int signal, int limit_ms) {
    return server_.finish_within(signal, limit_ms);
  }
  Process& server() { return server_; }
  // Waits until it serves.
  void wait_for_server();
  // Starts one more csnap-nbd and waits until it serves; its number.
  std::size_t start_nbd();
  void start_nbd_again(std::size_t number);
  Process& nbd(std::size_t number) { return *nbds_[number]; }
  void stop_nbds();
  std::string nbd_socket(std::size_t number) const;
  bool nbd_alive(std::size_t number) { return !nbds_[number]->ended(); }

  // csnap-admin, once.
  Outcome admin(std::vector<std::string> words);
  // Again and again while the server is away. A command whose answer was lost is sent again; then
  // "exists" means that create, and "no such snapshot" that delete and rename had worked.
  void admin_surely(const std::vector<std::string>& words);
  // Commands may fail meanwhile, having done their work or not; admin_surely() sends them again.
  void let_admin_fail(bool yes) { admin_may_fail_ = yes; }

  const std::string& folder() const { return folder_; }
  const std::string& origin_path() const { return options_.origin_path; }
  const std::string& store_path() const { return options_.store_path; }
  // The origin's content to a file, and a file's content to the origin. REQUIRES: no server.
  void read_origin(const std::string& file) { copy(options_.origin_path, file); }
  void write_origin(const std::string& file) { copy(file, options_.origin_path); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  const std::string& address() const { return address_; }
  // The last lines of a log.
  std::string log_tail(const std::string& name) const;
  void keep() { keep_ = true; }

 private:
  void make_store();
  void copy(const std::string& from, const std::string& to);
  void launch_nbd(std::size_t number, Process& process);

  RigOptions options_;
  std::string folder_;
  const bool own_folder_;
  std::string address_;
  Process server_;
  unsigned starts_ = 0;  // of the server
  std::vector<std::unique_ptr<Process>> nbds_;
  bool keep_ = false;
  std::atomic<bool> admin_may_fail_{false};
};

// A new folder for temporary things.
std::string make_folder();
// Sleeps.
void pause_ms(std::uint64_t milliseconds);
// Can a connection be made to this Unix socket?
bool answers(const std::string& socket_path);

}  // namespace csnap::torture
