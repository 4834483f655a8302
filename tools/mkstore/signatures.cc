// SPDX-License-Identifier: Apache-2.0
#include "tools/mkstore/signatures.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "store/superblock.h"

namespace csnap {
namespace {

struct CloseProbe {
  void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, CloseProbe>;

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

// The magic numbers are asked for because a wipe needs their places.
Result<Probe> open_probe(const std::string& path, const Descriptor& file) {
  if (file.fd < 0)
    return Status(Code::io_error, "cannot open " + path + ": " + std::strerror(errno));
  Probe probe(blkid_new_probe());
  if (!probe || blkid_probe_set_device(probe.get(), file.fd, 0, 0) != 0)
    return Status(Code::io_error, "libblkid cannot examine " + path);
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL |
                                                     BLKID_SUBLKS_USAGE | BLKID_SUBLKS_MAGIC |
                                                     BLKID_SUBLKS_BADCSUM);
  blkid_probe_enable_partitions(probe.get(), 1);
  blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC | BLKID_PARTS_FORCE_GPT);
  return probe;
}

std::string value_of(blkid_probe probe, const char* name) {
  const char* value = nullptr;
  if (blkid_probe_lookup_value(probe, name, &value, nullptr) != 0 || !value) return {};
  return value;
}

std::string describe(blkid_probe probe) {
  if (const std::string table = value_of(probe, "PTTYPE"); !table.empty())
    return "a partition table (" + table + ")";
  std::string details = value_of(probe, "TYPE");
  if (const std::string label = value_of(probe, "LABEL"); !label.empty())
    details += ", '" + label + "'";
  const bool file_system = value_of(probe, "USAGE") == "filesystem";
  return (file_system ? "a file system (" : "a known signature (") + details + ")";
}

}  // namespace

Result<std::optional<std::string>> find_content(const std::string& path, Device& device) {
  const auto superblock = read_superblock(device);
  if (superblock.ok())
    return std::optional((superblock->is_copy() ? "a copy of the metadata of a csnap store ("
                                                : std::string("a csnap store (")) +
                         superblock->uuid.to_string() +
                         (superblock->label.empty() ? "" : ", '" + superblock->label + "'") + ")");
  switch (superblock.status().code()) {
    case Code::not_found:
      break;
    case Code::unsupported:
      return std::optional<std::string>("a csnap store made by a newer csnap");
    case Code::corrupt:
      return std::optional<std::string>("a damaged csnap store");
    case Code::invalid:
      return std::optional<std::string>("the data of a csnap store");
    default:
      return superblock.status();
  }
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  CSNAP_ASSIGN(const Probe probe, open_probe(path, file));
  const int found = blkid_do_probe(probe.get());
  if (found < 0) return Status(Code::io_error, "libblkid cannot examine " + path);
  if (found > 0) return std::optional<std::string>();
  return std::optional(describe(probe.get()));
}

Status wipe_signatures(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
  CSNAP_ASSIGN(const Probe probe, open_probe(path, file));
  while (blkid_do_probe(probe.get()) == 0)
    if (blkid_do_wipe(probe.get(), 0) != 0)
      return Status(Code::io_error, "cannot remove the old signature from " + path);
  if (::fsync(file.fd) != 0)
    return Status(Code::io_error, "cannot write to " + path + ": " + std::strerror(errno));
  return {};
}

}  // namespace csnap
