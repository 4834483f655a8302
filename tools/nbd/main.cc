// SPDX-License-Identifier: Apache-2.0
// csnap-nbd: becomes nbdkit with our plugin. Signals and exit codes are nbdkit's from then on.
#include <errno.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "tools/nbd/listen.h"
#include "tools/nbd/options.h"

namespace {

using csnap::Address;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr const char* kPlugin = "nbdkit-csnap-plugin.so";

// Beside this program in a build tree or an installation, else where the build was to be installed.
std::string find_plugin() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto lib = self.parent_path().parent_path() / "lib";
  for (const auto& path :
       {lib / kPlugin, lib / "csnap" / kPlugin, std::filesystem::path(CSNAP_PLUGIN_DIR) / kPlugin})
    if (std::filesystem::exists(path, error)) return path.string();
  return {};
}

std::vector<std::string> nbdkit_command(const csnap::NbdOptions& options,
                                        const std::string& plugin) {
  std::vector<std::string> words{"nbdkit", "--foreground", "--threads",
                                 std::to_string(options.threads)};
  if (options.listen.kind == Address::Kind::unix_socket) {
    words.insert(words.end(), {"--unix", options.listen.path});
  } else {
    words.insert(words.end(),
                 {"--ipaddr", options.listen.host, "--port", std::to_string(options.listen.port)});
  }
  if (options.read_only) words.push_back("--readonly");
  if (options.verbose) words.push_back("--verbose");
  words.push_back(plugin);
  for (const std::string& server : options.servers) words.push_back("server=" + server);
  if (!options.origin.empty()) words.push_back("origin=" + options.origin);
  if (!options.store.empty()) words.push_back("store=" + options.store);
  words.push_back("announce=csnap-nbd: ready, " + csnap::nbd_uri(options.listen, ""));
  return words;
}

// Only comes back when it failed.
void become(std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
#ifdef CSNAP_NBDKIT_PRELOAD
  // A build with a sanitizer. nbdkit's own libraries leak.
  setenv("LD_PRELOAD", CSNAP_NBDKIT_PRELOAD, 1);
  const char* before = std::getenv("ASAN_OPTIONS");
  setenv("ASAN_OPTIONS", (std::string(before ? before : "") + ":detect_leaks=0").c_str(), 1);
#endif
  execvp(argv[0], argv.data());
  const int error = errno;
  std::fprintf(stderr, "csnap-nbd: cannot run nbdkit: %s%s\n",
               std::generic_category().message(error).c_str(),
               error == ENOENT ? "; install it: apt-get install nbdkit" : "");
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = csnap::parse_nbd_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options) {
    std::fprintf(stderr, "csnap-nbd: %s\nTry csnap-nbd --help.\n",
                 options.status().message().c_str());
    return kUsage;
  }
  if (options->help) {
    std::fputs(csnap::nbd_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("csnap-nbd " CSNAP_VERSION);
    return 0;
  }
  if (auto status = csnap::prepare_to_listen(options->listen); !status) {
    std::fprintf(stderr, "csnap-nbd: %s\n", status.message().c_str());
    return kFailed;
  }
  const std::string plugin = find_plugin();
  if (plugin.empty()) {
    std::fprintf(stderr,
                 "csnap-nbd: cannot find %s, neither beside this program in ../lib nor in %s\n",
                 kPlugin, CSNAP_PLUGIN_DIR);
    return kFailed;
  }
  auto words = nbdkit_command(*options, plugin);
  become(words);
  return kFailed;
}
