// SPDX-License-Identifier: Apache-2.0
// fuzz_replay: runs a target over inputs kept in files, without libFuzzer.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "test/fuzz/target.h"

namespace {

using namespace csnap::fuzz;
namespace fs = std::filesystem;

constexpr const char* kUsage =
    "Usage: fuzz_replay --list | TARGET PATH...\n"
    "\n"
    "Runs a fuzz target over files, and over the files of folders, in order of name. The name of\n"
    "each is printed before it is run. --list prints the targets. Exit code: 0 when all came "
    "back,\n"
    "1 when something could not be read, 2 for a wrong command line; a failure aborts.\n";

bool replay(const Target& target, const fs::path& file) {
  std::printf("%s: %s\n", target.name, file.c_str());
  std::fflush(stdout);
  std::ifstream stream(file, std::ios::binary);
  const std::vector<char> bytes(std::istreambuf_iterator<char>(stream), {});
  if (!stream) {
    std::fprintf(stderr, "fuzz_replay: cannot read %s\n", file.c_str());
    return false;
  }
  target.run(Input(std::as_bytes(std::span(bytes))));
  return true;
}

bool replay_path(const Target& target, const fs::path& path) {
  if (!fs::is_directory(path)) return replay(target, path);
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  bool all = true;
  for (const auto& file : files) all = replay(target, file) && all;
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--list") == 0) {
    for (const Target& target : targets()) std::printf("%s\n", target.name);
    return 0;
  }
  for (const Target& target : targets()) {
    if (argc < 3 || std::strcmp(argv[1], target.name) != 0) continue;
    bool all = true;
    for (int i = 2; i < argc; ++i) all = replay_path(target, argv[i]) && all;
    return all ? 0 : 1;
  }
  std::fputs(kUsage, stderr);
  return 2;
}
