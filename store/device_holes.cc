// SPDX-License-Identifier: Apache-2.0
#include "store/device_holes.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "store/errno_status.h"

namespace csnap {

Result<DataExtent> find_data(const DeviceFile& file, std::uint64_t offset) {
  const DataExtent all{offset, file.size};
  if (!file.regular || offset >= file.size) return all;
  const off_t data = ::lseek(file.fd, static_cast<off_t>(offset), SEEK_DATA);
  if (data < 0) {
    if (errno == ENXIO) return DataExtent{file.size, file.size};
    if (errno == EINVAL || errno == EOPNOTSUPP) return all;
    return errno_status(errno, file.path + ": cannot be asked for its holes");
  }
  const off_t hole = ::lseek(file.fd, data, SEEK_HOLE);
  if (hole <= data) return all;  // it changes under our hands
  const std::uint64_t unit = file.alignment;
  const auto start = static_cast<std::uint64_t>(data) / unit * unit;
  const auto end = (static_cast<std::uint64_t>(hole) + unit - 1) / unit * unit;
  return DataExtent{std::min(file.size, std::max(offset, start)), std::min(file.size, end)};
}

Status punch_hole(const DeviceFile& file, std::uint64_t offset, std::uint64_t length) {
  const std::string what = file.path + ": cannot make a hole of " + std::to_string(length) +
                           " bytes at " + std::to_string(offset);
  for (;;) {
    if (::fallocate(file.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(length)) == 0)
      return {};
    if (errno == EOPNOTSUPP || errno == ENOSYS)
      return Status(Code::unsupported, what + ": the file system makes none");
    if (errno != EINTR) return errno_status(errno, what);
  }
}

}  // namespace csnap
