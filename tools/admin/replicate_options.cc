// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/replicate_options.h"

#include <array>

#include "tools/replicate/schedule.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

constexpr std::array<const char*, 5> kOptions{"schedule", "once", "forget", "keep", "prefix"};
constexpr std::size_t kMostKept = 62;  // a store has 64

Status wrong(const std::string& text) {
  return Status(Code::invalid, text);
}

// What is replicated is one of: a snapshot, what is made from time to time, nothing more.
Status check_form(const po::variables_map& values, const std::vector<std::string>& words,
                  const ReplicateLine& line) {
  const bool rounds = line.once || values.count("schedule") != 0;
  const int forms = (words.size() > 1 ? 1 : 0) + (line.once ? 1 : 0) +
                    (values.count("schedule") != 0 ? 1 : 0) + (line.forget ? 1 : 0);
  if (values.count("to") == 0 || forms != 1)
    return wrong(
        "it is: csnap-admin replicate --to ADDRESS, and one of: NAME, --schedule EVERY, --once, "
        "--forget");
  if (!rounds && (values.count("keep") != 0 || values.count("prefix") != 0))
    return wrong("--keep and --prefix are for --schedule and --once");
  return {};
}

}  // namespace

void add_replicate_options(po::options_description& options) {
  auto add = options.add_options();
  add("schedule", po::value<std::string>()->value_name("EVERY"),
      "replicate: every 30s, 15m, 1h or 1d make a snapshot and replicate it, until a signal comes");
  add("once", "replicate: one such round, for cron and its like");
  add("keep", po::value<std::size_t>()->value_name("N"),
      "replicate --schedule, --once: keep so many of these snapshots, on both sides (8)");
  add("prefix", po::value<std::string>()->value_name("TEXT"),
      "replicate --schedule, --once: what their names begin with (replica-)");
  add("forget", "replicate: the server there is a replica no more");
}

Status take_replicate_options(const po::variables_map& values,
                              const std::vector<std::string>& words, ReplicateLine& line) {
  if (words[0] != "replicate") {
    for (const char* name : kOptions)
      if (values.count(name) != 0) return wrong(std::string("--") + name + " is for replicate");
    return {};
  }
  line.once = values.count("once") != 0;
  line.forget = values.count("forget") != 0;
  CSNAP_TRY(check_form(values, words, line));
  if (values.count("schedule") != 0) {
    const auto every = parse_period(values["schedule"].as<std::string>());
    if (!every.ok()) return every.status().with_context("--schedule");
    line.every = *every;
  }
  if (values.count("keep") != 0) line.keep = values["keep"].as<std::size_t>();
  if (line.keep < 1 || line.keep > kMostKept)
    return wrong("--keep must be from 1 to " + std::to_string(kMostKept));
  if (values.count("prefix") != 0) line.prefix = values["prefix"].as<std::string>();
  return check_prefix(line.prefix).with_context("--prefix");
}

}  // namespace csnap
