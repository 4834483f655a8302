// SPDX-License-Identifier: Apache-2.0
#include "tools/csnapd/options.h"

#include <fstream>
#include <sstream>

#include "tools/common/command_line.h"
#include "tools/common/size.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

constexpr std::uint64_t kMinCache = 1u << 20;
constexpr std::uint32_t kMinLease = 100;      // ms
constexpr std::uint32_t kMaxLease = 600'000;  // ms

const char* const kLevels[] = {"error", "warning", "info", "debug"};

std::string addresses_text(const std::vector<Address>& addresses) {
  std::string text;
  for (const auto& address : addresses) {
    text += (text.empty() ? "" : " and ") + address.to_string();
  }
  return text;
}

po::options_description settings() {
  po::options_description options("Settings, also in the file of --config as NAME = VALUE");
  auto add = options.add_options();
  add("origin", po::value<std::string>()->value_name("PATH"),
      "the origin volume: a block device, a file, or tree:DIRECTORY?size=SIZE (csnapd(8))");
  add("store", po::value<std::string>()->value_name("PATH"),
      "the snapshot store that csnap-mkstore made for it");
  add("metadata", po::value<std::string>()->value_name("PATH"),
      "the store's metadata device, if it has one of its own");
  add("listen", po::value<std::vector<std::string>>()->value_name("ADDRESS"),
      ("unix:PATH or HOST:PORT; may be repeated. Default: " + addresses_text(default_addresses()))
          .c_str());
  add("streams-from", po::value<std::vector<std::string>>()->value_name("NETWORK"),
      "take send streams from there, too, such as 10.0.0.0/8; may be repeated. They are neither "
      "encrypted nor proven to be from whom they say: csnapd(8). Default: this machine only");
  add("cache", po::value<std::string>()->value_name("SIZE")->default_value("64M"),
      "memory for metadata blocks");
  add("lease", po::value<std::uint32_t>()->value_name("MS")->default_value(10'000),
      "milliseconds after which a client that is not heard of is cut off");
  add("client-copies", po::value<std::string>()->value_name("WHEN")->default_value("auto"),
      "whether clients make the copies that they need, if they can: auto (those on other "
      "machines), "
      "on or off");
  add("log-level", po::value<std::string>()->value_name("LEVEL")->default_value("info"),
      "error, warning, info or debug");
  return options;
}

po::options_description commands() {
  po::options_description options("Others");
  auto add = options.add_options();
  add("config", po::value<std::string>()->value_name("FILE"), "read settings from FILE");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

Status usage_error(const std::string& text) {
  return Status(Code::invalid, text);
}

Status read_file(const std::string& path, po::variables_map& values) {
  std::ifstream file(path);
  if (!file) return usage_error("cannot read the configuration file " + path);
  try {
    po::store(po::parse_config_file(file, settings()), values);
  } catch (const po::error& error) {
    return usage_error(path + ": " + error.what());
  }
  return {};
}

Status required(const po::variables_map& values, const char* name, std::string& out) {
  if (values.count(name) == 0 || values[name].as<std::string>().empty()) {
    return usage_error(std::string("--") + name + " is missing");
  }
  out = values[name].as<std::string>();
  return {};
}

Status take_listen(const po::variables_map& values, DaemonOptions& daemon) {
  if (values.count("listen") == 0) {
    daemon.listen = default_addresses();
    return {};
  }
  for (const auto& text : values["listen"].as<std::vector<std::string>>()) {
    auto address = parse_address(text);
    if (!address) return address.status().with_context("--listen " + text);
    daemon.listen.push_back(*address);
  }
  return {};
}

Status take_streams_from(const po::variables_map& values, DaemonOptions& daemon) {
  if (values.count("streams-from") == 0) return {};
  for (const auto& text : values["streams-from"].as<std::vector<std::string>>()) {
    const auto network = parse_network(text);
    if (!network.ok()) return network.status().with_context("--streams-from " + text);
    daemon.streams_from.push_back(*network);
  }
  return {};
}

Result<ClientCopyPolicy> parse_client_copies(const std::string& text) {
  if (text == "auto") return ClientCopyPolicy::elsewhere;
  if (text == "on") return ClientCopyPolicy::on;
  if (text == "off") return ClientCopyPolicy::off;
  return usage_error("--client-copies must be auto, on or off, not " + text);
}

Status take_settings(const po::variables_map& values, CsnapdOptions& options) {
  DaemonOptions& daemon = options.daemon;
  CSNAP_TRY(required(values, "origin", daemon.paths.origin));
  CSNAP_TRY(required(values, "store", daemon.paths.store));
  if (values.count("metadata") != 0) daemon.paths.metadata = values["metadata"].as<std::string>();
  CSNAP_TRY(take_listen(values, daemon));
  CSNAP_TRY(take_streams_from(values, daemon));

  const auto cache = parse_size(values["cache"].as<std::string>());
  if (!cache) return cache.status().with_context("--cache");
  if (*cache < kMinCache) return usage_error("--cache must be at least 1M");
  daemon.cache_bytes = *cache;

  daemon.lease_ms = values["lease"].as<std::uint32_t>();
  if (daemon.lease_ms < kMinLease || daemon.lease_ms > kMaxLease) {
    return usage_error("--lease must be from 100 to 600000 milliseconds");
  }
  CSNAP_ASSIGN(daemon.client_copies,
               parse_client_copies(values["client-copies"].as<std::string>()));
  options.log_level = values["log-level"].as<std::string>();
  for (const char* level : kLevels) {
    if (options.log_level == level) return {};
  }
  return usage_error("--log-level must be error, warning, info or debug, not " + options.log_level);
}

}  // namespace

std::string csnapd_usage() {
  std::ostringstream text;
  text << "Usage: csnapd --origin PATH --store PATH [OPTION]...\n"
          "Serves the snapshots of one origin volume from one snapshot store.\n\n"
       << settings() << '\n'
       << commands()
       << "\nExit codes: 0 after a signal asked it to stop, 1 when it failed, 2 for a wrong\n"
          "command line. See csnapd(8).\n";
  return text.str();
}

Result<CsnapdOptions> parse_csnapd_options(const std::vector<std::string>& arguments) {
  CsnapdOptions options;
  po::options_description all;
  all.add(settings()).add(commands());
  CSNAP_ASSIGN(po::variables_map values, parse_words(arguments, all));
  options.help = values.count("help") != 0;
  options.version = values.count("version") != 0;
  if (options.help || options.version) return options;
  // What was stored first stays: the file only fills in what the command line left out.
  if (values.count("config") != 0) {
    CSNAP_TRY(read_file(values["config"].as<std::string>(), values));
  }
  CSNAP_TRY(take_settings(values, options));
  return options;
}

}  // namespace csnap
