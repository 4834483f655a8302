// SPDX-License-Identifier: Apache-2.0
#include "tools/mkstore/signatures.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "store/aligned_buffer.h"
#include "store/open_device.h"
#include "store/superblock.h"

namespace csnap {
namespace {

struct CloseProbe {
  void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, CloseProbe>;

struct Descriptor {
  explicit Descriptor(int descriptor) : fd(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : fd(std::exchange(other.fd, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  int fd;
};

// Signatures lie at the beginning or at the end of a volume.
constexpr std::uint64_t kEnds = 2 << 20;

struct Part {
  std::uint64_t offset;
  AlignedBuffer data;
};

Result<std::vector<Part>> read_ends(Device& device) {
  std::vector<Part> parts;
  const std::uint64_t size = device.size();
  const std::uint64_t second = std::max(kEnds, size - std::min(size, kEnds));
  for (const auto& [from, to] :
       {std::pair(std::uint64_t{0}, std::min(size, kEnds)), std::pair(second, size)}) {
    if (from >= to) continue;
    Part part{from, AlignedBuffer(to - from)};
    CSNAP_TRY(read_sync(device, from, part.data.span()));
    parts.push_back(std::move(part));
  }
  return parts;
}

// libblkid wants one file: for a tree, one in memory, as large as the volume, with its ends.
Result<Descriptor> open_for_probe(const std::string& path, Device& device, int flags) {
  if (!names_block_tree(path)) return Descriptor(::open(path.c_str(), flags | O_CLOEXEC));
  CSNAP_ASSIGN(const auto parts, read_ends(device));
  Descriptor file(::memfd_create("csnap-probe", MFD_CLOEXEC));
  bool made = file.fd >= 0 && ::ftruncate(file.fd, static_cast<off_t>(device.size())) == 0;
  for (const Part& part : parts)
    made = made &&
           ::pwrite(file.fd, part.data.data(), part.data.size(), static_cast<off_t>(part.offset)) ==
               static_cast<ssize_t>(part.data.size());
  if (!made) return Status(Code::io_error, path + ": cannot be examined: " + std::strerror(errno));
  return file;
}

// What libblkid wiped there, on the device as well.
Status write_back(const Descriptor& file, Device& device) {
  CSNAP_ASSIGN(auto parts, read_ends(device));
  for (Part& part : parts) {
    AlignedBuffer wiped(part.data.size());
    if (::pread(file.fd, wiped.data(), wiped.size(), static_cast<off_t>(part.offset)) !=
        static_cast<ssize_t>(wiped.size()))
      return Status(Code::io_error, std::string("cannot be examined: ") + std::strerror(errno));
    for (std::size_t at = 0; at < wiped.size(); at += device.alignment()) {
      const auto sector = wiped.span().subspan(at, device.alignment());
      if (std::memcmp(sector.data(), part.data.data() + at, sector.size()) != 0)
        CSNAP_TRY(write_sync(device, part.offset + at, sector));
    }
  }
  return flush_sync(device);
}

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
  CSNAP_ASSIGN(const Descriptor file, open_for_probe(path, device, O_RDONLY));
  CSNAP_ASSIGN(const Probe probe, open_probe(path, file));
  const int found = blkid_do_probe(probe.get());
  if (found < 0) return Status(Code::io_error, "libblkid cannot examine " + path);
  if (found > 0) return std::optional<std::string>();
  return std::optional(describe(probe.get()));
}

Status wipe_signatures(const std::string& path, Device& device) {
  CSNAP_ASSIGN(const Descriptor file, open_for_probe(path, device, O_RDWR));
  CSNAP_ASSIGN(const Probe probe, open_probe(path, file));
  while (blkid_do_probe(probe.get()) == 0)
    if (blkid_do_wipe(probe.get(), 0) != 0)
      return Status(Code::io_error, "cannot remove the old signature from " + path);
  if (names_block_tree(path)) return write_back(file, device).with_context(path);
  if (::fsync(file.fd) != 0)
    return Status(Code::io_error, "cannot write to " + path + ": " + std::strerror(errno));
  return {};
}

}  // namespace csnap
