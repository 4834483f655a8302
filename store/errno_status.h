// SPDX-License-Identifier: Apache-2.0
// From the kernel's error numbers to ours.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

#include "store/status.h"

namespace csnap {

// "No such file or directory"; safe in any thread.
inline std::string errno_text(int error) {
  return std::generic_category().message(error);
}

// "what: No such file or directory" under the code that fits best; io_error when none does.
inline Status errno_status(int error, const std::string& what) {
  Code code = Code::io_error;
  switch (error) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
      code = Code::not_found;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Code::denied;
      break;
    case ENOSPC:
    case EDQUOT:
      code = Code::no_space;
      break;
    case EBUSY:
      code = Code::busy;
      break;
    case EEXIST:
      code = Code::exists;
      break;
    case EISDIR:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
      code = Code::invalid;
      break;
    default:
      break;
  }
  return Status(code, what + ": " + errno_text(error));
}

}  // namespace csnap
