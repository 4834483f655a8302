// SPDX-License-Identifier: Apache-2.0
#include "tools/nbd/listen.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <system_error>

namespace csnap {

namespace {

// Everything but what RFC 3986 leaves unreserved, and slashes, as %XX.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (isalnum(byte) != 0 || strchr("-._~/", c) != nullptr) {
      out += c;
    } else {
      char hex[4];
      snprintf(hex, sizeof(hex), "%%%02X", byte);
      out += hex;
    }
  }
  return out;
}

// Does somebody answer at this socket?
Result<bool> somebody_listens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return Status(Code::invalid, path + ": the name of a socket has at most " +
                                     std::to_string(sizeof(address.sun_path) - 1) + " bytes");
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Status(Code::io_error, "cannot make a socket");
  const int result = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  const int error = errno;
  close(fd);
  if (result == 0) return true;
  if (error == ECONNREFUSED || error == ENOENT) return false;
  return Status(Code::io_error, path + ": " + std::generic_category().message(error));
}

}  // namespace

std::string nbd_uri(const Address& address, const std::string& export_name) {
  if (address.kind == Address::Kind::unix_socket)
    return "nbd+unix:///" + escaped(export_name) + "?socket=" + escaped(address.path);
  const bool v6 = address.host.find(':') != std::string::npos;
  return "nbd://" + (v6 ? "[" + address.host + "]" : address.host) + ":" +
         std::to_string(address.port) + "/" + escaped(export_name);
}

Status prepare_to_listen(const Address& address) {
  if (address.kind != Address::Kind::unix_socket) return {};
  std::error_code error;
  const auto directory = std::filesystem::absolute(address.path, error).parent_path();
  std::filesystem::create_directories(directory, error);
  if (error)
    return Status(Code::io_error,
                  "cannot make the directory " + directory.string() + ": " + error.message());
  CSNAP_ASSIGN(const bool taken, somebody_listens(address.path));
  if (taken)
    return Status(Code::busy, address.path +
                                  ": another program listens there; stop it, or choose "
                                  "another place with --listen");
  struct stat info {};
  if (lstat(address.path.c_str(), &info) != 0) return {};
  if (!S_ISSOCK(info.st_mode))
    return Status(Code::exists, address.path + ": exists and is not a socket");
  if (unlink(address.path.c_str()) != 0)
    return Status(Code::io_error, address.path + ": a socket that nobody uses cannot be removed: " +
                                      std::generic_category().message(errno));
  return {};
}

}  // namespace csnap
