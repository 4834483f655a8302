// SPDX-License-Identifier: Apache-2.0
#include "tools/nbd/options.h"

#include <filesystem>
#include <sstream>

#include "tools/common/command_line.h"

namespace csnap {

namespace {

namespace po = boost::program_options;

constexpr unsigned kMostThreads = 1024;

po::options_description described() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("server", po::value<std::vector<std::string>>()->value_name("ADDRESS"),
      "csnapd's address, unix:PATH or HOST:PORT; may be repeated. Default: this machine's server");
  add("listen", po::value<std::string>()->value_name("ADDRESS"),
      ("where NBD clients connect, unix:PATH or ADDR:PORT. Default: " +
       default_nbd_address().to_string())
          .c_str());
  add("read-only", "nobody may write");
  add("origin", po::value<std::string>()->value_name("PATH"),
      "where the origin volume is here, if not where csnapd has it");
  add("store", po::value<std::string>()->value_name("PATH"),
      "where the snapshot store is here, likewise");
  add("threads", po::value<unsigned>()->value_name("N")->default_value(32),
      "requests of one connection worked on at once");
  add("verbose", "say what nbdkit does");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

Status take_paths(const po::variables_map& values, NbdOptions& options) {
  if (values.count("server") != 0)
    options.servers = values["server"].as<std::vector<std::string>>();
  for (const std::string& server : options.servers)
    if (auto address = parse_address(server); !address.ok())
      return address.status().with_context("--server " + server);
  options.listen = default_nbd_address();
  if (values.count("listen") != 0) {
    const auto& text = values["listen"].as<std::string>();
    auto address = parse_address(text);
    if (!address.ok()) return address.status().with_context("--listen " + text);
    if (address->kind == Address::Kind::tcp && address->port == 0)
      return Status(Code::invalid, "--listen " + text + ": port 0 is nobody's");
    options.listen = *address;
  }
  if (values.count("origin") != 0) options.origin = values["origin"].as<std::string>();
  if (values.count("store") != 0) options.store = values["store"].as<std::string>();
  return {};
}

}  // namespace

Address default_nbd_address() {
  Address address = default_unix_address();
  address.path = std::filesystem::path(address.path).replace_filename("csnap-nbd.sock").string();
  return address;
}

std::string nbd_usage() {
  std::ostringstream text;
  text << "Usage: csnap-nbd [OPTION]...\n"
          "Serves the origin volume and the snapshots of a csnapd over NBD, by running nbdkit.\n"
          "The exports are called origin (also the default) and as the snapshots are.\n\n"
       << described()
       << "\nTry it:  nbdinfo --list 'nbd+unix:///?socket=" << default_nbd_address().path
       << "'\n\nExit codes: 0 after a signal asked it to stop, 1 when it failed, 2 for a wrong\n"
          "command line. See csnap-nbd(1).\n";
  return text.str();
}

Result<NbdOptions> parse_nbd_options(const std::vector<std::string>& arguments) {
  NbdOptions options;
  CSNAP_ASSIGN(const po::variables_map values, parse_words(arguments, described()));
  options.help = values.count("help") != 0;
  options.version = values.count("version") != 0;
  options.read_only = values.count("read-only") != 0;
  options.verbose = values.count("verbose") != 0;
  options.threads = values["threads"].as<unsigned>();
  if (options.threads == 0 || options.threads > kMostThreads)
    return Status(Code::invalid, "--threads must be from 1 to " + std::to_string(kMostThreads));
  CSNAP_TRY(take_paths(values, options));
  return options;
}

}  // namespace csnap
