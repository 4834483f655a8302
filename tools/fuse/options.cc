// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/options.h"

#include <sstream>

#include "tools/common/command_line.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

constexpr const char* kMountpoint = "mountpoint";

po::options_description described() {
  po::options_description options("Options");
  add_client_options(options, 16, "requests worked on at once");
  auto add = options.add_options();
  add("allow-other", "let other users in, too, as far as the files' permissions go");
  add("verbose", "say what the kernel asks");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

}  // namespace

std::string fuse_usage() {
  std::ostringstream text;
  text
      << "Usage: csnap-fuse [OPTION]... MOUNTPOINT\n"
         "Shows the origin volume and the snapshots of a csnapd as files: origin, those in\n"
         "snapshots/ by name, and all in by-id/ by id. Unmounted with: umount MOUNTPOINT\n\n"
      << described()
      << "\nExit codes: 0 after it was unmounted, or a signal asked it to stop, 1 when it failed,\n"
         "2 for a wrong command line. See csnap-fuse(1).\n";
  return text.str();
}

Result<FuseOptions> parse_fuse_options(const std::vector<std::string>& arguments) {
  FuseOptions options;
  po::options_description all = described();
  all.add_options()(kMountpoint, po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add(kMountpoint, -1);
  CSNAP_ASSIGN(const po::variables_map values, parse_words(arguments, all, positional));
  options.help = values.count("help") != 0;
  options.version = values.count("version") != 0;
  if (options.help || options.version) return options;
  std::vector<std::string> places;
  if (values.count(kMountpoint) != 0) places = values[kMountpoint].as<std::vector<std::string>>();
  if (places.size() != 1 || places[0].empty())
    return Status(Code::invalid, "one folder is needed: MOUNTPOINT");
  options.mountpoint = places[0];
  options.allow_other = values.count("allow-other") != 0;
  options.verbose = values.count("verbose") != 0;
  CSNAP_TRY(take_client_options(values, options));
  return options;
}

}  // namespace csnap
