// SPDX-License-Identifier: Apache-2.0
// csnapd: parses, sets up the log, runs the daemon.
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "tools/csnapd/options.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

// Beside this program, whatever it was started as.
std::string find_receiver() {
  std::error_code unknown;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", unknown);
  const std::string path = self.parent_path() / "csnap-admin";
  return !unknown && ::access(path.c_str(), X_OK) == 0 ? path : std::string();
}

void set_up_log(const std::string& level) {
  auto logger = spdlog::stderr_color_st("csnapd");
  // Under systemd the journal puts time and level to each line.
  const bool journal = std::getenv("JOURNAL_STREAM") != nullptr;
  logger->set_pattern(journal ? "%l: %v" : "%Y-%m-%d %H:%M:%S.%e %^%l%$: %v");
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace

int main(int argc, char** argv) {
  auto options = csnap::parse_csnapd_options(std::vector<std::string>(argv + 1, argv + argc));
  if (!options) {
    std::fprintf(stderr, "csnapd: %s\nTry csnapd --help.\n", options.status().message().c_str());
    return kUsage;
  }
  if (options->help) {
    std::fputs(csnap::csnapd_usage().c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::puts("csnapd " CSNAP_VERSION);
    return 0;
  }
  set_up_log(options->log_level);
  options->daemon.program = "csnapd " CSNAP_VERSION;
  options->daemon.receiver = find_receiver();
  // Told whatever the log level is: somebody may be waiting for it.
  options->daemon.ready = [](const std::string& line) {
    std::fprintf(stderr, "csnapd: ready, %s\n", line.c_str());
    ::sd_notifyf(0, "READY=1\nSTATUS=%s", line.c_str());
  };
  const csnap::Status status = csnap::run_daemon(options->daemon);
  if (!status) {
    spdlog::critical("{}", status.to_string());
    return kFailed;
  }
  return 0;
}
