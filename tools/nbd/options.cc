// SPDX-License-Identifier: Apache-2.0
#include "tools/nbd/options.h"

#include <filesystem>
#include <sstream>

#include "tools/common/command_line.h"

namespace csnap {

namespace {

namespace po = boost::program_options;

po::options_description described() {
  po::options_description options("Options");
  add_client_options(options, 32, "requests of one connection worked on at once");
  auto add = options.add_options();
  add("listen", po::value<std::string>()->value_name("ADDRESS"),
      ("where NBD clients connect, unix:PATH or ADDR:PORT. Default: " +
       default_nbd_address().to_string())
          .c_str());
  add("verbose", "say what nbdkit does");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

Status take_listen(const po::variables_map& values, NbdOptions& options) {
  options.listen = default_nbd_address();
  if (values.count("listen") != 0) {
    const auto& text = values["listen"].as<std::string>();
    auto address = parse_address(text);
    if (!address.ok()) return address.status().with_context("--listen " + text);
    if (address->kind == Address::Kind::tcp && address->port == 0)
      return Status(Code::invalid, "--listen " + text + ": port 0 is nobody's");
    options.listen = *address;
  }
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
  options.verbose = values.count("verbose") != 0;
  CSNAP_TRY(take_client_options(values, options));
  CSNAP_TRY(take_listen(values, options));
  return options;
}

}  // namespace csnap
