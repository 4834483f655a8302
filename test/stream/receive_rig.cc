// SPDX-License-Identifier: Apache-2.0
#include "test/stream/receive_rig.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <future>
#include <vector>

#include "tools/mkstore/make_store.h"

namespace {

std::atomic<ino_t> fails_on{0};  // the file whose flushes fail

}  // namespace

// In place of the C library's, for all of this program.
extern "C" int fdatasync(int fd) {
  struct stat there {};
  if (fails_on != 0 && ::fstat(fd, &there) == 0 && there.st_ino == fails_on) {
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace csnap {

ReceiveRig::ReceiveRig() {
  MkstoreOptions plan;
  plan.origin = options_.paths.origin = folder_.file("origin", kSize);
  plan.store = options_.paths.store = folder_ / "store";
  plan.size = 32u << 20;
  REQUIRE(make_store(plan, Uuid{{42}}).ok());
  Address address;
  address.kind = Address::Kind::unix_socket;
  address.path = folder_ / "socket";
  options_.listen = {address};
  options_.lease_ms = 1000;
  std::promise<void> ready;
  options_.ready = [&](const std::string&) { ready.set_value(); };
  server_ = std::thread([this] {
    if (!run_daemon(options_).ok()) std::abort();  // the log says why
  });
  ready.get_future().wait();
  AdminOptions options;
  options.addresses = volume().addresses;
  auto connected = Admin::connect(options);
  REQUIRE(connected.ok());
  admin_ = std::move(*connected);
}

ReceiveRig::~ReceiveRig() {
  fail_flushes(false);
  admin_.reset();
  ::kill(::getpid(), SIGTERM);
  server_.join();
}

OpenOptions ReceiveRig::volume(const std::string& name) const {
  OpenOptions options;
  options.addresses = {"unix:" + folder_.path() + "/socket"};
  options.volume = name;
  return options;
}

std::unique_ptr<OriginTarget> ReceiveRig::target(bool force, bool replica) {
  auto target = OriginTarget::open(*admin_, {volume().addresses, force, replica, "volume.img"});
  INFO(target.status().to_string());
  REQUIRE(target.ok());
  return std::move(*target);
}

std::optional<UnfinishedReceive> ReceiveRig::receiving() {
  const auto status = admin_->status();
  REQUIRE(status.ok());
  return status->replication.receiving;
}

void ReceiveRig::begin(OriginTarget& target, const std::string& name,
                       const StreamIdentity& identity) {
  const auto begun = target.begin({name, identity, std::nullopt, std::nullopt});
  INFO(begun.status().to_string());
  REQUIRE(begun.ok());
  REQUIRE(target.named("volume.img").ok());
}

void ReceiveRig::receive(const std::string& name, const StreamIdentity& identity, std::byte fill) {
  const auto there = target(true);
  begin(*there, name, identity);
  REQUIRE(there->write(0, std::vector<std::byte>(kSize, fill)).ok());
  const Status finished = there->finish();
  INFO(finished.to_string());
  REQUIRE(finished.ok());
}

ReceiveOutcome ReceiveRig::feed(OriginTarget& target, std::span<const std::byte> bytes,
                                const std::function<void()>& before_end) {
  const int fd = ::memfd_create("stream", MFD_CLOEXEC);
  REQUIRE(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  REQUIRE(::lseek(fd, 0, SEEK_SET) == 0);
  ByteInput input(fd, "the test");
  StreamReader reader;
  int turns = 0;
  const ReceiveOutcome outcome = receive_streams(input, reader, target, [&](std::uint64_t) {
    if (++turns == 3 && before_end) before_end();  // the first bytes come alone
  });
  ::close(fd);
  return outcome;
}

void ReceiveRig::rename(const std::string& from, const std::string& to) {
  const Status renamed = admin_->rename(from, to);
  INFO(renamed.to_string());
  REQUIRE(renamed.ok());
}

void ReceiveRig::write(const std::string& volume_name, std::uint64_t offset, std::byte fill) {
  const auto opened = Volume::open(volume(volume_name));
  INFO(opened.status().to_string());
  REQUIRE(opened.ok());
  REQUIRE((*opened)->write(offset, std::vector<std::byte>(4096, fill)).ok());
}

std::byte ReceiveRig::first_byte(const std::string& volume_name) {
  auto options = volume(volume_name);
  options.read_only = true;
  const auto opened = Volume::open(options);
  REQUIRE(opened.ok());
  std::array<std::byte, 1> byte{};
  REQUIRE((*opened)->read(0, byte).ok());
  return byte[0];
}

void ReceiveRig::fail_flushes(bool fail) {
  struct stat there {};
  REQUIRE(::stat(origin_path().c_str(), &there) == 0);
  fails_on = fail ? there.st_ino : 0;
}

}  // namespace csnap
