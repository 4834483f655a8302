// SPDX-License-Identifier: Apache-2.0
// One NBD connection with several requests in flight.
//
// Threading: one thread at a time. Ownership: the buffers of a request are the caller's until
// wait() has returned.
#pragma once

#include <libnbd.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace csnap::torture {

class NbdClient {
 public:
  // Nothing, and `error` says why, if that fails.
  static std::unique_ptr<NbdClient> connect(const std::string& socket, const std::string& name,
                                            std::string& error);
  // Tries again for a while: servers are killed in these tests.
  static std::unique_ptr<NbdClient> connect_surely(const std::string& socket,
                                                   const std::string& name);
  ~NbdClient();
  NbdClient(const NbdClient&) = delete;
  NbdClient& operator=(const NbdClient&) = delete;

  // A request's cookie, or -1.
  std::int64_t read(std::uint64_t offset, std::span<std::byte> data);
  std::int64_t write(std::uint64_t offset, std::span<const std::byte> data, bool fua = false);
  std::int64_t zero(std::uint64_t offset, std::uint64_t length);
  std::int64_t trim(std::uint64_t offset, std::uint64_t length);
  std::int64_t flush();
  // Waits until the request has ended. 0, or the errno; ETIMEDOUT when it hangs.
  int wait(std::int64_t cookie);
  // Has it ended? Does not wait. -1 while it has not, else as wait().
  int poll(std::int64_t cookie, int timeout_ms);

  std::uint64_t size() const;
  // Is the connection there?
  bool alive() const;

 private:
  explicit NbdClient(nbd_handle* handle) : handle_(handle) {}

  nbd_handle* const handle_;
};

}  // namespace csnap::torture
