// SPDX-License-Identifier: Apache-2.0
#include "tools/check/options.h"

#include <sstream>

#include "tools/common/command_line.h"
#include "tools/rmap/options.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

constexpr const char* kPositional = "store-path";

po::options_description visible() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("repair", "repair what can be repaired, and mark what is lost; asks first on a terminal");
  add("to", po::value<std::string>()->value_name("PATH"),
      "with --repair: leave STORE as it is; put all metadata into the new file PATH, repaired");
  add("force", "with --to: replace PATH if it is a copy that was made before");
  add("yes,y", "with --repair: do not ask");
  add("data", "read the data of all exceptions too and compare it with its checksums");
  add("metadata", po::value<std::string>()->value_name("PATH"),
      "the device or file with the metadata, if it is not on STORE");
  add("rmap", "do not check, but tell what each chunk of the store is, and of which snapshots");
  add("range", po::value<std::string>()->value_name("BEGIN..END"),
      "with --rmap: only of these chunks of the store, END not included");
  add("bad-sectors", po::value<std::string>()->value_name("FILE"),
      "with --rmap: instead, what is hurt by the blocks of STORE that badblocks listed in FILE "
      "(-: standard input)");
  add("block-size", po::value<std::string>()->value_name("SIZE"),
      "with --bad-sectors: the blocks are of so many bytes; as badblocks, 1024 by default");
  add("json", "say it as JSON");
  add("progress", "say how far it is on standard error, also when that is no terminal");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

}  // namespace

std::string check_usage() {
  std::ostringstream text;
  text << "Usage: csnap-check [OPTIONS] STORE\n\n"
          "Checks the snapshot store on STORE, a device or a file that no server has open: says\n"
          "what is damaged, and of what is lost which chunks of which snapshots. Changes nothing\n"
          "without --repair. STORE may also be a pack that csnap-dump --pack made of one.\n"
          "With --rmap it tells what lies where on it instead.\n\n"
       << visible()
       << "\nExit codes: 0 clean, 1 repaired, 4 damage left, 8 could not run, 16 wrong usage.\n"
          "A store that a server has open is checked with: csnap-admin check\n";
  return text.str();
}

namespace {

Status take_rmap(const po::variables_map& values, CheckToolOptions& out) {
  out.rmap = values.count("rmap") != 0;
  CSNAP_TRY(take_rmap_options(values, out.map));
  if (values.count("range") != 0) {
    out.map.range = values["range"].as<std::string>();
    CSNAP_TRY(check_store_range(out.map.range));
  }
  if (!out.rmap && (!out.map.range.empty() || !out.map.bad_sectors.empty()))
    return Status(Code::invalid, "--range and --bad-sectors go with --rmap");
  if (!out.map.range.empty() && !out.map.bad_sectors.empty())
    return Status(Code::invalid, "--range and --bad-sectors do not go together");
  if (out.rmap && (out.repair || out.data))
    return Status(Code::invalid, "--rmap does not check: --repair and --data do not go with it");
  out.map.json = out.json;
  return {};
}

}  // namespace

Result<CheckToolOptions> parse_check_options(const std::vector<std::string>& arguments) {
  CheckToolOptions out;
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
  if (values.count("to") != 0) {
    out.to = values["to"].as<std::string>();
    if (out.to.empty()) return Status(Code::invalid, "--to names no file");
  }
  out.repair = values.count("repair") != 0;
  out.yes = values.count("yes") != 0;
  out.force = values.count("force") != 0;
  if (!out.repair && (!out.to.empty() || out.yes))
    return Status(Code::invalid, "--to and --yes go with --repair");
  if (out.to.empty() && out.force) return Status(Code::invalid, "--force goes with --to");
  out.data = values.count("data") != 0;
  out.json = values.count("json") != 0;
  out.progress = values.count("progress") != 0;
  CSNAP_TRY(take_rmap(values, out));
  return out;
}

}  // namespace csnap
