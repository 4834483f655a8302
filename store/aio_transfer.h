// SPDX-License-Identifier: Apache-2.0
// How far one transfer with the kernel has come, and what its answers mean. No I/O here.
#pragma once

#include <cerrno>
#include <cstdint>
#include <string>

#include "store/device.h"
#include "store/device_request.h"
#include "store/errno_status.h"

namespace csnap {

struct Transfer {
  IoKind kind = IoKind::flush;
  std::uint64_t offset = 0;   // bytes; of what is left
  std::span<std::byte> rest;  // what is left to be transferred

  enum class Next { finished, again, failed };

  // Takes one answer: bytes transferred, or a negative errno. again: send what is left. failed:
  // why says what to tell the submitter.
  Next account(const std::string& device, std::uint32_t alignment, std::int64_t answer,
               Status& why) {
    if (answer == -EINTR || answer == -EAGAIN) return Next::again;
    if (answer < 0) {
      const int error = static_cast<int>(-answer);
      const Code code = error == ENOSPC || error == EDQUOT ? Code::no_space : Code::io_error;
      why = Status(code, describe(device) + ": " + errno_text(error));
      return Next::failed;
    }
    if (kind == IoKind::flush) return Next::finished;
    auto bytes = static_cast<std::uint64_t>(answer);
    if (bytes >= rest.size()) return Next::finished;
    // What follows must be aligned again; the part of a sector is transferred once more.
    bytes -= bytes % alignment;
    if (bytes == 0) {
      why = Status(Code::io_error, describe(device) + ": only " + std::to_string(answer) +
                                       " bytes went through; has it become smaller?");
      return Next::failed;
    }
    rest = rest.subspan(bytes);
    offset += bytes;
    return Next::again;
  }

 private:
  std::string describe(const std::string& device) const {
    return describe_request(device, kind, offset, rest.size());
  }
};

}  // namespace csnap
