// SPDX-License-Identifier: Apache-2.0
#include "test/torture/arguments.h"

#include <stdlib.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <random>

namespace csnap::torture {

Arguments parse_arguments(int argc, char** argv, std::uint64_t default_seconds,
                          const std::vector<std::string>& known_flags) {
  Arguments arguments;
  arguments.programs = std::filesystem::read_symlink("/proc/self/exe").parent_path().string();
  arguments.seconds = default_seconds;
  arguments.seed = std::random_device()();
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool help = word == "--help" || word == "-h";
    if (!help && std::find(known_flags.begin(), known_flags.end(), word) != known_flags.end()) {
      arguments.flags.insert(word);
    } else if (i + 1 < argc && word == "--bin") {
      arguments.programs = argv[++i];
    } else if (i + 1 < argc && word == "--seconds") {
      arguments.seconds = strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && word == "--minutes") {
      arguments.seconds = 60 * strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && word == "--seed") {
      arguments.seed = strtoull(argv[++i], nullptr, 10);
    } else {
      std::string flags;
      for (const auto& flag : known_flags) flags += " [" + flag + "]";
      fprintf(help ? stdout : stderr,
              "Usage: %s [--bin FOLDER] [--seconds N | --minutes N] [--seed N]%s\n", argv[0],
              flags.c_str());
      exit(help ? 0 : 2);
    }
  }
  printf("seed %" PRIu64 "\n", arguments.seed);
  fflush(stdout);
  return arguments;
}

}  // namespace csnap::torture
