// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/options.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "tools/common/command_line.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

constexpr std::size_t kMostConnections = 4096, kMostInFlight = 1024;
constexpr std::uint64_t kMostSnapshotEvery = 3'600'000;

po::options_description visible() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("server", po::value<std::vector<std::string>>()->value_name("ADDRESS"),
      "unix:PATH or HOST:PORT; without it, the addresses that csnapd has by itself");
  add("load", po::value<std::string>()->value_name("KIND[:N],..."),
      "what is asked for, each by N connections (16): unique, read, write, overwrite");
  add("snapshot", po::value<std::string>()->value_name("NAME"),
      "the snapshot that read, write and overwrite are about");
  add("in-flight", po::value<std::size_t>()->value_name("N"), "requests of each connection (32)");
  add("range", po::value<std::uint64_t>()->value_name("N"), "chunks in each request (1)");
  add("chunks", po::value<std::uint64_t>()->value_name("N"),
      "only the first N chunks of the volume");
  add("pattern", po::value<std::string>()->value_name("NAME"),
      "uniform (as without it), zipfian, sequential, or once: every place once");
  add("seconds", po::value<double>()->value_name("S"), "how long it is measured (5)");
  add("warmup", po::value<double>()->value_name("S"), "how long before that it is not (1)");
  add("requests", po::value<std::uint64_t>()->value_name("N"), "stop after so many answers");
  add("seed", po::value<std::uint64_t>()->value_name("N"), "of the pattern (1)");
  add("snapshot-every", po::value<std::uint64_t>()->value_name("MS"),
      "meanwhile create a snapshot every MS milliseconds, and delete it again");
  add("prepare", "first ask for the whole origin, so that unique finds nothing to copy");
  add("server-pid", po::value<int>()->value_name("PID"),
      "csnapd's process, on this machine, to tell its CPU time for each request");
  add("json", "print the result as JSON");
  add("picture", po::value<std::string>()->value_name("FILE"),
      "draw rate and latency over time, as SVG");
  add("force", "load write or overwrite: yes, the snapshot's content may be spoilt");
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

Result<LoadOptions> parse_load(const std::string& text) {
  const std::string name = text.substr(0, text.find(':'));
  LoadOptions load;
  load.connections = 16;
  bool known = false;
  for (const Kind kind : {Kind::unique, Kind::read, Kind::write, Kind::overwrite})
    if (name == to_string(kind)) load.kind = kind, known = true;
  if (!known)
    return Status(Code::invalid,
                  "--load: '" + name + "' is none of unique, read, write, overwrite");
  if (name.size() == text.size()) return load;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + name.size() + 1, end, load.connections);
  if (parsed.ec != std::errc() || parsed.ptr != end || load.connections == 0 ||
      load.connections > kMostConnections)
    return Status(Code::invalid,
                  "--load: " + text + ": connections are 1 to " + std::to_string(kMostConnections));
  return load;
}

Status parse_loads(const std::string& text, std::vector<LoadOptions>& loads) {
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    CSNAP_ASSIGN(const LoadOptions load, parse_load(part));
    loads.push_back(load);
  }
  if (loads.empty()) return Status(Code::invalid, "--load says nothing");
  return {};
}

template <class T>
void take(const po::variables_map& values, const char* name, T& out) {
  if (values.count(name) != 0) out = values[name].as<T>();
}

Status check(const BenchOptions& options) {
  const auto has = [&](Kind kind) {
    return std::any_of(options.loads.begin(), options.loads.end(),
                       [=](const LoadOptions& load) { return load.kind == kind; });
  };
  const bool writes = has(Kind::write) || has(Kind::overwrite);
  if ((writes || has(Kind::read)) && options.snapshot.empty())
    return Status(Code::invalid, "--load read, write and overwrite need --snapshot");
  if (writes && !options.force)
    return Status(Code::invalid,
                  "--load write and overwrite give the snapshot places in the store into which "
                  "nothing is written; its content is spoilt. --force if that is no harm");
  if (options.in_flight == 0 || options.in_flight > kMostInFlight)
    return Status(Code::invalid, "--in-flight is 1 to " + std::to_string(kMostInFlight));
  if (options.snapshot_every_ms > kMostSnapshotEvery)
    return Status(Code::invalid, "--snapshot-every is at most an hour");
  if (options.range == 0 || options.range > kMaxWireChunks)
    return Status(Code::invalid, "--range is 1 to " + std::to_string(kMaxWireChunks));
  if (!(options.seconds > 0 && options.seconds < 1e6) ||
      !(options.warmup >= 0 && options.warmup < 1e6))
    return Status(Code::invalid, "--seconds and --warmup are times in seconds");
  return {};
}

}  // namespace

std::string bench_usage() {
  std::ostringstream text;
  text
      << "Usage: csnap-bench --load KIND[:N],... [OPTIONS]\n\n"
         "Asks csnapd as its clients do, as fast as it answers, and reports the rate and how long\n"
         "the answers took. Reads and writes no data.\n\n"
      << visible() << "\nExit codes: 0 measured, 1 not, or not to the end, 2 wrong usage.\n";
  return text.str();
}

Result<BenchOptions> parse_bench_options(const std::vector<std::string>& arguments) {
  BenchOptions out;
  CSNAP_ASSIGN(const po::variables_map values, parse_words(arguments, visible()));
  out.help = values.count("help") != 0;
  out.version = !out.help && values.count("version") != 0;
  if (out.help || out.version) return out;
  if (values.count("load") == 0) return Status(Code::invalid, "--load is needed");
  CSNAP_TRY(parse_loads(values["load"].as<std::string>(), out.loads));
  take(values, "server", out.servers);
  take(values, "snapshot", out.snapshot);
  take(values, "in-flight", out.in_flight);
  take(values, "range", out.range);
  take(values, "chunks", out.chunks);
  take(values, "seconds", out.seconds);
  take(values, "warmup", out.warmup);
  take(values, "requests", out.requests);
  take(values, "seed", out.seed);
  take(values, "snapshot-every", out.snapshot_every_ms);
  take(values, "server-pid", out.server_pid);
  take(values, "picture", out.picture);
  if (values.count("pattern") != 0) {
    CSNAP_ASSIGN(out.pattern, parse_pattern(values["pattern"].as<std::string>()));
  }
  out.prepare = values.count("prepare") != 0;
  out.force = values.count("force") != 0;
  out.json = values.count("json") != 0;
  CSNAP_TRY(check(out));
  return out;
}

}  // namespace csnap
