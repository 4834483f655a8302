// SPDX-License-Identifier: Apache-2.0
// A server that serves a small origin, in this process, for who receives streams into it.
// One at a time in a process, for a signal ends it.
// Threading: one thread calls; the server has one of its own.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>

#include "client/csnap.h"
#include "server/daemon.h"
#include "test/store/temporary.h"
#include "tools/stream/origin_target.h"
#include "tools/stream/receiver.h"

namespace csnap {

class ReceiveRig {
 public:
  static constexpr std::uint64_t kSize = 1u << 20;  // bytes of the origin

  ReceiveRig();
  ~ReceiveRig();
  ReceiveRig(const ReceiveRig&) = delete;
  ReceiveRig& operator=(const ReceiveRig&) = delete;

  Admin& admin() { return *admin_; }
  const std::string& origin_path() const { return options_.paths.origin; }
  OpenOptions volume(const std::string& name = "origin") const;
  std::unique_ptr<OriginTarget> target(bool force = false, bool replica = false);
  // As the store knows it.
  std::optional<UnfinishedReceive> receiving();
  // Begins a snapshot that is a whole volume.
  void begin(OriginTarget& target, const std::string& name, const StreamIdentity& identity);
  // Receives one that is full of this byte.
  void receive(const std::string& name, const StreamIdentity& identity, std::byte fill);
  // What comes of bytes that are fed to it; before_end: called when some have been applied.
  ReceiveOutcome feed(OriginTarget& target, std::span<const std::byte> bytes,
                      const std::function<void()>& before_end = {});
  void rename(const std::string& from, const std::string& to);
  void write(const std::string& volume_name, std::uint64_t offset, std::byte fill);
  std::byte first_byte(const std::string& volume_name);

  // From now on every flush of the origin fails, or none does.
  void fail_flushes(bool fail);

 private:
  test::TemporaryDirectory folder_;
  DaemonOptions options_;
  std::thread server_;
  std::unique_ptr<Admin> admin_;
};

}  // namespace csnap
