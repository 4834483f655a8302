// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "tools/common/json.h"
#include "tools/common/table.h"

namespace csnap {
namespace {

constexpr double kShares[] = {0.5, 0.99, 0.999};

double us(std::uint64_t ns) {
  return static_cast<double>(ns) / 1000;
}

std::string us_text(std::uint64_t ns) {
  return us(ns) < 100 ? fmt::format("{:.1f}", us(ns)) : fmt::format("{:.0f}", us(ns));
}

// One curve: a value for each moment, drawn from the bottom of its frame up.
std::string curve(const std::vector<double>& values, double top, int y, int height, int width,
                  const char* colour) {
  std::string points;
  const double step =
      static_cast<double>(width) / static_cast<double>(std::max<std::size_t>(values.size() - 1, 1));
  for (std::size_t i = 0; i < values.size(); ++i)
    points += fmt::format("{:.1f},{:.1f} ", 80 + step * static_cast<double>(i),
                          y + height - values[i] / top * height);
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>\n",
                     points, colour);
}

std::string frame(const std::string& title, const std::string& top, int y, int height, int width) {
  return fmt::format(
      "<rect x=\"80\" y=\"{0}\" width=\"{1}\" height=\"{2}\" fill=\"none\" stroke=\"#999\"/>\n"
      "<text x=\"80\" y=\"{3}\">{4}</text>\n"
      "<text x=\"74\" y=\"{5}\" text-anchor=\"end\">{6}</text>\n"
      "<text x=\"74\" y=\"{7}\" text-anchor=\"end\">0</text>\n",
      y, width, height, y - 6, title, y + 10, top, y + height);
}

}  // namespace

std::string bench_text(const BenchOptions& options, const BenchResult& result) {
  Table table({{"load", false},
               {"connections", true},
               {"requests/s", true},
               {"chunks/s", true},
               {"p50 us", true},
               {"p99 us", true},
               {"p99.9 us", true},
               {"max us", true}});
  for (const LoadResult& load : result.loads) {
    std::vector<std::string> row{
        to_string(load.load.kind), std::to_string(load.load.connections),
        fmt::format("{:.0f}", load.rate),
        fmt::format("{:.0f}", load.rate * static_cast<double>(options.range))};
    for (const double share : kShares) row.push_back(us_text(load.latencies.at(share)));
    row.push_back(us_text(load.latencies.max()));
    table.row(std::move(row));
  }
  std::string text = table.text();
  text += fmt::format("\n{} requests in {:.2f} s", result.answers, result.seconds);
  if (result.server_cpu_us >= 0)
    text += fmt::format(", {:.2f} us of csnapd's CPU for each", result.server_cpu_us);
  text += fmt::format(", {:.2f} us of csnap-bench's own\n", result.own_cpu_us);
  if (result.snapshots.count() > 0)
    text += fmt::format("{} snapshots created meanwhile: p50 {} us, p99 {} us, max {} us\n",
                        result.snapshots.count(), us_text(result.snapshots.at(0.5)),
                        us_text(result.snapshots.at(0.99)), us_text(result.snapshots.max()));
  if (result.exhausted) text += "every place was asked for before the time was over\n";
  if (!result.cut_short.ok()) text += "cut short: " + result.cut_short.message() + "\n";
  return text;
}

namespace {

void put(boost::json::object& object, const Latencies& latencies) {
  object["mean_us"] = latencies.mean() / 1000;
  for (const double share : kShares)
    object[fmt::format("p{:g}_us", share * 100)] = us(latencies.at(share));
  object["max_us"] = us(latencies.max());
}

}  // namespace

std::string bench_json(const BenchOptions& options, const BenchResult& result) {
  boost::json::array loads;
  for (const LoadResult& load : result.loads) {
    boost::json::object object{{"kind", to_string(load.load.kind)},
                               {"connections", load.load.connections},
                               {"requests_per_s", load.rate}};
    put(object, load.latencies);
    loads.push_back(std::move(object));
  }
  boost::json::object out{{"seconds", result.seconds},       {"requests", result.answers},
                          {"requests_per_s", result.rate},   {"chunks_per_s", result.chunk_rate},
                          {"in_flight", options.in_flight},  {"range", options.range},
                          {"own_cpu_us", result.own_cpu_us}, {"exhausted", result.exhausted},
                          {"loads", std::move(loads)}};
  if (options.snapshot_every_ms > 0) {
    boost::json::object snapshots{{"created", result.snapshots.count()}};
    put(snapshots, result.snapshots);
    out["snapshots"] = std::move(snapshots);
  }
  if (result.server_cpu_us >= 0) out["server_cpu_us"] = result.server_cpu_us;
  if (!result.cut_short.ok()) out["cut_short"] = result.cut_short.message();
  return to_json_text(out);
}

std::string bench_picture(const BenchOptions& options, const BenchResult& result) {
  constexpr int kWidth = 800, kHeight = 180, kFirst = 50, kSecond = 290;
  std::vector<double> rate, median, p99;
  // The last moment is not a whole one.
  for (std::size_t i = 0;
       i + 1 < std::max<std::size_t>(result.moments.size(), 2) && i < result.moments.size(); ++i) {
    const Moment& moment = result.moments[i];
    rate.push_back(static_cast<double>(moment.answers) / kMoment);
    median.push_back(us(moment.latencies.at(0.5)));
    p99.push_back(us(moment.latencies.at(0.99)));
  }
  const auto top = [](const std::vector<double>& values) {
    return std::max(1.0, values.empty() ? 1.0 : *std::max_element(values.begin(), values.end()));
  };
  std::string what;
  for (const LoadOptions& load : options.loads)
    what +=
        fmt::format("{}{} x {}", what.empty() ? "" : ", ", load.connections, to_string(load.kind));
  std::string out =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"920\" height=\"520\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  out += fmt::format(
      "<text x=\"80\" y=\"22\" font-size=\"14\">{}, {} in flight each, {:.1f} s</text>\n", what,
      options.in_flight, result.seconds);
  out += frame("requests a second", fmt::format("{:.0f}", top(rate)), kFirst, kHeight, kWidth);
  out += curve(rate, top(rate), kFirst, kHeight, kWidth, "#1f77b4");
  out += frame("microseconds to the answer: median (green), 99 % (red)",
               fmt::format("{:.0f}", top(p99)), kSecond, kHeight, kWidth);
  out += curve(median, top(p99), kSecond, kHeight, kWidth, "#2ca02c");
  out += curve(p99, top(p99), kSecond, kHeight, kWidth, "#d62728");
  for (const int y : {kFirst, kSecond})
    out += fmt::format(
        "<text x=\"80\" y=\"{0}\">0 s</text>\n"
        "<text x=\"880\" y=\"{0}\" text-anchor=\"end\">{1:.1f} s</text>\n",
        y + kHeight + 15, result.seconds);
  return out + "</svg>\n";
}

}  // namespace csnap
