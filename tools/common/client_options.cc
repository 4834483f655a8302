// SPDX-License-Identifier: Apache-2.0
#include "tools/common/client_options.h"

#include "proto/address.h"

namespace csnap {

namespace po = boost::program_options;

namespace {

constexpr unsigned kMostThreads = 1024;

}  // namespace

void add_client_options(po::options_description& options, unsigned threads, const char* what) {
  auto add = options.add_options();
  add("server", po::value<std::vector<std::string>>()->value_name("ADDRESS"),
      "csnapd's address, unix:PATH or HOST:PORT; may be repeated. Default: this machine's server");
  add("read-only", "nobody may write");
  add("origin", po::value<std::string>()->value_name("PATH"),
      "where the origin volume is here, if not where csnapd has it");
  add("store", po::value<std::string>()->value_name("PATH"),
      "where the snapshot store is here, likewise");
  add("threads", po::value<unsigned>()->value_name("N")->default_value(threads), what);
}

Status take_client_options(const po::variables_map& values, ClientOptions& out) {
  out.read_only = values.count("read-only") != 0;
  out.threads = values["threads"].as<unsigned>();
  if (out.threads == 0 || out.threads > kMostThreads)
    return Status(Code::invalid, "--threads must be from 1 to " + std::to_string(kMostThreads));
  CSNAP_ASSIGN(out.servers, take_servers(values));
  if (values.count("origin") != 0) out.origin = values["origin"].as<std::string>();
  if (values.count("store") != 0) out.store = values["store"].as<std::string>();
  return {};
}

Result<std::vector<std::string>> take_servers(const po::variables_map& values) {
  std::vector<std::string> servers;
  if (values.count("server") != 0) servers = values["server"].as<std::vector<std::string>>();
  for (const std::string& server : servers)
    if (auto address = parse_address(server); !address.ok())
      return address.status().with_context("--server " + server);
  return servers;
}

}  // namespace csnap
