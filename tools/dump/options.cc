// SPDX-License-Identifier: Apache-2.0
#include "tools/dump/options.h"

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
      "the device or file with the metadata, if it is not on STORE");
  add("output,o", po::value<std::string>()->value_name("FILE"),
      "write to this file instead of standard output");
  add("pack",
      "write a compressed image of the metadata, without any user data, for those who are "
      "to look into a problem; csnap-check and csnap-dump read it as they do STORE");
  add("progress", "say how far packing is on standard error, also when that is no terminal");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

}  // namespace

std::string dump_usage() {
  std::ostringstream text;
  text << "Usage: csnap-dump [OPTIONS] STORE\n\n"
          "Writes the metadata of the snapshot store on STORE, a device or a file that no server\n"
          "has open, as text: a JSON object a line. csnap-restore makes a store of it again.\n\n"
       << visible() << "\nExit codes: 0 dumped, 1 not dumped, 2 wrong usage.\n";
  return text.str();
}

Result<DumpToolOptions> parse_dump_options(const std::vector<std::string>& arguments) {
  DumpToolOptions out;
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
  if (values.count("output") != 0) {
    out.output = values["output"].as<std::string>();
    if (out.output.empty()) return Status(Code::invalid, "--output names no file");
  }
  out.pack = values.count("pack") != 0;
  out.progress = values.count("progress") != 0;
  if (out.progress && !out.pack) return Status(Code::invalid, "--progress goes with --pack");
  return out;
}

}  // namespace csnap
