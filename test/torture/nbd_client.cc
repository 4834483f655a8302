// SPDX-License-Identifier: Apache-2.0
#include "test/torture/nbd_client.h"

#include <errno.h>

#include <chrono>

#include "test/torture/process.h"
#include "test/torture/rig.h"

namespace csnap::torture {

namespace {

constexpr int kHangMs = 90'000;  // what takes longer never ends

}  // namespace

std::unique_ptr<NbdClient> NbdClient::connect(const std::string& socket, const std::string& name,
                                              std::string& error) {
  nbd_handle* handle = nbd_create();
  if (handle == nullptr) die("libnbd has no memory");
  if (nbd_set_export_name(handle, name.c_str()) != 0 ||
      nbd_connect_unix(handle, socket.c_str()) != 0) {
    error = nbd_get_error();
    nbd_close(handle);
    return nullptr;
  }
  return std::unique_ptr<NbdClient>(new NbdClient(handle));
}

std::unique_ptr<NbdClient> NbdClient::connect_surely(const std::string& socket,
                                                     const std::string& name) {
  std::string error;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kHangMs);
  do {
    if (auto client = connect(socket, name, error)) return client;
    pause_ms(20);
  } while (std::chrono::steady_clock::now() < deadline);
  die("cannot connect to export " + name + " of " + socket + ": " + error);
}

NbdClient::~NbdClient() {
  nbd_shutdown(handle_, 0);
  nbd_close(handle_);
}

std::int64_t NbdClient::read(std::uint64_t offset, std::span<std::byte> data) {
  return nbd_aio_pread(handle_, data.data(), data.size(), offset, NBD_NULL_COMPLETION, 0);
}

std::int64_t NbdClient::write(std::uint64_t offset, std::span<const std::byte> data, bool fua) {
  return nbd_aio_pwrite(handle_, data.data(), data.size(), offset, NBD_NULL_COMPLETION,
                        fua ? LIBNBD_CMD_FLAG_FUA : 0);
}

std::int64_t NbdClient::zero(std::uint64_t offset, std::uint64_t length) {
  return nbd_aio_zero(handle_, length, offset, NBD_NULL_COMPLETION, 0);
}

std::int64_t NbdClient::trim(std::uint64_t offset, std::uint64_t length) {
  return nbd_aio_trim(handle_, length, offset, NBD_NULL_COMPLETION, 0);
}

std::int64_t NbdClient::flush() {
  return nbd_aio_flush(handle_, NBD_NULL_COMPLETION, 0);
}

int NbdClient::poll(std::int64_t cookie, int timeout_ms) {
  if (cookie < 0) return EINVAL;
  for (bool polled = false;; polled = true) {
    const int done = nbd_aio_command_completed(handle_, static_cast<std::uint64_t>(cookie));
    if (done == 1) return 0;
    if (done < 0) return nbd_get_errno() == 0 ? EIO : nbd_get_errno();
    if (polled) return -1;
    if (nbd_poll(handle_, timeout_ms) < 0 && nbd_aio_is_dead(handle_) == 0) return ENOTCONN;
  }
}

int NbdClient::wait(std::int64_t cookie) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(kHangMs);
  for (;;) {
    const int result = poll(cookie, 1000);
    if (result >= 0) return result;
    if (std::chrono::steady_clock::now() > deadline) return ETIMEDOUT;
  }
}

bool NbdClient::alive() const {
  return nbd_aio_is_dead(handle_) == 0 && nbd_aio_is_closed(handle_) == 0;
}

std::uint64_t NbdClient::size() const {
  const std::int64_t size = nbd_get_size(handle_);
  return size < 0 ? 0 : static_cast<std::uint64_t>(size);
}

}  // namespace csnap::torture
