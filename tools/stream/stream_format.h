// SPDX-License-Identifier: Apache-2.0
// The bytes of a send stream, version 1; docs/format/stream.md. Constants and layout only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "store/endian.h"

namespace csnap {

inline constexpr char kStreamMagic[13] = {'b', 't', 'r', 'f', 's', '-', 's',
                                          't', 'r', 'e', 'a', 'm', '\0'};
inline constexpr std::uint32_t kStreamVersion = 1;

struct StreamHeaderDisk {
  char magic[13];
  Le32 version;
};
static_assert(sizeof(StreamHeaderDisk) == 17);

// Then `length` bytes of attributes.
struct CommandHeaderDisk {
  Le32 length;
  Le16 command;
  // CRC-32C of header (with this zero) and attributes, begun with 0 and not inverted at the end.
  Le32 crc;
};
static_assert(sizeof(CommandHeaderDisk) == 10);

// Then `length` bytes.
struct AttributeHeaderDisk {
  Le16 type;
  Le16 length;
};
static_assert(sizeof(AttributeHeaderDisk) == 4);

enum class CommandType : std::uint16_t {
  subvolume = 1,
  snapshot = 2,
  make_file = 3,
  make_dir = 4,
  make_node = 5,
  make_fifo = 6,
  make_socket = 7,
  symlink = 8,
  rename = 9,
  link = 10,
  unlink = 11,
  remove_dir = 12,
  set_xattr = 13,
  remove_xattr = 14,
  write = 15,
  clone = 16,
  truncate = 17,
  chmod = 18,
  chown = 19,
  utimes = 20,
  end = 21,
  update_extent = 22,
};
inline constexpr std::uint16_t kLastCommand = 22;

enum class Attribute : std::uint16_t {
  uuid = 1,
  ctransid = 2,
  inode = 3,
  size = 4,
  mode = 5,
  uid = 6,
  gid = 7,
  rdev = 8,
  ctime = 9,
  mtime = 10,
  atime = 11,
  otime = 12,
  xattr_name = 13,
  xattr_data = 14,
  path = 15,
  path_to = 16,
  path_link = 17,
  file_offset = 18,
  data = 19,
  clone_uuid = 20,
  clone_ctransid = 21,
  clone_path = 22,
  clone_offset = 23,
  clone_length = 24,
};
inline constexpr std::size_t kLastAttribute = 24;

// Of one command; the kernel's buffer has as much.
inline constexpr std::size_t kMaxCommandBody = 64u << 10;
// Of the data of one WRITE that we send.
inline constexpr std::size_t kWriteBytes = 48u << 10;
inline constexpr std::size_t kMaxStreamPath = 4095;
inline constexpr std::size_t kMaxStreamName = 255;

// What a volume is called in a stream of ours.
inline constexpr char kVolumeFile[] = "volume.img";

}  // namespace csnap
