// SPDX-License-Identifier: Apache-2.0
#include "test/sim/options.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <charconv>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

namespace csnap::sim {
namespace {

namespace po = boost::program_options;

po::options_description described() {
  po::options_description options("Options");
  auto add = options.add_options();
  const auto texts = [] { return po::value<std::vector<std::string>>()->composing(); };
  add("seed", texts()->value_name("N"),
      "this one, twice: the two must be the same event for event; may be repeated");
  add("seeds", texts()->value_name("FROM-TO"), "these, both ends included");
  add("list", texts()->value_name("FILE"), "those in the file: one a line, # begins a comment");
  add("seconds", po::value<double>()->value_name("S"),
      "fresh ones for so long, from a number of the clock on, every theme in turn");
  add("jobs", po::value<std::string>()->value_name("N"),
      "so many of the fresh ones at once. Default: as many as there are cores");
  add("coverage",
      "print how often each fault struck while each operation was under way; fail when one never "
      "did, though what is missing is aimed at for up to three times S more");
  add("trace", "print what happens, of seeds that were named");
  add("help,h", "print this text");
  return options;
}

Result<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return Status(Code::invalid, "'" + text + "' is no number from 0 to 2^64-1");
  return value;
}

Status add_range(const std::string& text, std::vector<std::uint64_t>& seeds) {
  const std::size_t dash = std::min(text.find('-'), text.size());
  CSNAP_ASSIGN(const auto from, number(text.substr(0, dash)));
  CSNAP_ASSIGN(const auto to, dash == text.size() ? from : number(text.substr(dash + 1)));
  if (to < from) return Status(Code::invalid, "'" + text + "' ends before it begins");
  for (std::uint64_t n = 0; n <= to - from; ++n) seeds.push_back(from + n);
  return {};
}

Status add_list(const std::string& path, std::vector<std::uint64_t>& seeds) {
  std::ifstream in(path);
  const std::size_t before = seeds.size();
  for (std::string line; std::getline(in, line);) {
    line = line.substr(0, line.find('#'));
    line.erase(0, line.find_first_not_of(" \t"));
    line.erase(line.find_last_not_of(" \t") + 1);
    if (line.empty()) continue;
    CSNAP_ASSIGN(const auto seed, number(line));
    seeds.push_back(seed);
  }
  if (seeds.size() == before)
    return Status(Code::invalid, "cannot be read, or there is no seed in it");
  return {};
}

Status take_seeds(const po::variables_map& values, const char* option,
                  const std::function<Status(const std::string&)>& take) {
  if (values.count(option) == 0) return {};
  for (const std::string& text : values[option].as<std::vector<std::string>>()) {
    Status taken = take(text);
    if (!taken.ok()) return taken.with_context(std::string("--") + option + " " + text);
  }
  return {};
}

}  // namespace

std::string sim_usage() {
  std::ostringstream text;
  text << "Usage: csnap_sim [OPTION]...\n"
          "Runs histories of a simulated csnap, each made of one number, its seed.\n\n"
       << described()
       << "\nExit codes: 0 all was well, 1 something was not, 2 for a wrong command line.\n";
  return text.str();
}

Result<SimOptions> parse_sim_options(const std::vector<std::string>& arguments) {
  SimOptions options;
  po::variables_map values;
  try {
    const auto style =
        po::command_line_style::default_style ^ po::command_line_style::allow_guessing;
    const auto all = described();
    po::store(po::command_line_parser(arguments).options(all).style(style).positional({}).run(),
              values);
  } catch (const po::error& error) {
    return Status(Code::invalid, error.what());
  }
  options.help = values.count("help") != 0;
  options.coverage = values.count("coverage") != 0;
  options.trace = values.count("trace") != 0;
  options.twice = values.count("seed") != 0;
  auto& seeds = options.seeds;
  CSNAP_TRY(take_seeds(values, "seed", [&](const std::string& text) -> Status {
    CSNAP_ASSIGN(const auto seed, number(text));
    seeds.push_back(seed);
    return {};
  }));
  CSNAP_TRY(take_seeds(values, "seeds", [&](const auto& text) { return add_range(text, seeds); }));
  CSNAP_TRY(take_seeds(values, "list", [&](const auto& text) { return add_list(text, seeds); }));
  if (values.count("seconds") != 0) options.seconds = values["seconds"].as<double>();
  if (values.count("seconds") != 0 && !(options.seconds > 0))
    return Status(Code::invalid, "--seconds must be more than 0");
  options.jobs = std::max(1u, std::thread::hardware_concurrency());
  if (values.count("jobs") != 0) {
    const auto jobs = number(values["jobs"].as<std::string>());
    if (!jobs.ok() || *jobs == 0 || *jobs > 1024)
      return Status(Code::invalid, "--jobs must be from 1 to 1024");
    options.jobs = static_cast<unsigned>(*jobs);
  }
  if (!options.help && seeds.empty() && options.seconds == 0)
    return Status(Code::invalid, "nothing to do: name seeds, or a time for fresh ones");
  return options;
}

}  // namespace csnap::sim
