// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/confirm.h"

#include <unistd.h>

#include <iostream>

namespace csnap {

Status confirm(const std::string& question, const std::string& otherwise) {
  if (::isatty(STDIN_FILENO) == 0) return {};
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return Status(Code::cancelled, otherwise);
}

}  // namespace csnap
