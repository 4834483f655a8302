// SPDX-License-Identifier: Apache-2.0
#include "tools/restore/options.h"

#include <sstream>

#include "tools/common/command_line.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

constexpr const char* kPositional = "store-path";

po::options_description visible() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("metadata", po::value<std::string>()->value_name("PATH"),
      "the device or file for the metadata, if it is not on STORE");
  add("input,i", po::value<std::string>()->value_name("FILE"),
      "read the dump from this file instead of from standard input");
  add("force", "overwrite the metadata of the store that is there, whatever state it is in");
  add("json", "say what was restored as JSON");
  add("progress", "say how far it is on standard error, also when that is no terminal");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

}  // namespace

std::string restore_usage() {
  std::ostringstream text;
  text << "Usage: csnap-restore [OPTIONS] STORE\n\n"
          "Makes the metadata of the snapshot store on STORE, a device or a file, anew from what\n"
          "csnap-dump wrote. The data of the snapshots must be on STORE still, where it was.\n\n"
       << visible()
       << "\nExit codes: 0 restored, 1 not restored, 2 wrong usage.\n"
          "Example: csnap-restore --force --input data.dump /dev/sdb && csnap-check --data "
          "/dev/sdb\n";
  return text.str();
}

Result<RestoreToolOptions> parse_restore_options(const std::vector<std::string>& arguments) {
  RestoreToolOptions out;
  po::options_description all = visible();
  all.add_options()(kPositional, po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add(kPositional, -1);
  CSNAP_ASSIGN(const po::variables_map values, parse_words(arguments, all, positional));
  out.help = values.count("help") != 0;
  out.version = !out.help && values.count("version") != 0;
  if (out.help || out.version) return out;
  std::vector<std::string> paths;
  if (values.count(kPositional) != 0) paths = values[kPositional].as<std::vector<std::string>>();
  if (paths.size() != 1 || paths[0].empty())
    return Status(Code::invalid, "one path is needed: STORE");
  out.store = paths[0];
  if (values.count("metadata") != 0) {
    out.metadata = values["metadata"].as<std::string>();
    if (out.metadata.empty()) return Status(Code::invalid, "--metadata names no device");
  }
  if (values.count("input") != 0) {
    out.input = values["input"].as<std::string>();
    if (out.input.empty()) return Status(Code::invalid, "--input names no file");
  }
  out.force = values.count("force") != 0;
  out.json = values.count("json") != 0;
  out.progress = values.count("progress") != 0;
  return out;
}

}  // namespace csnap
