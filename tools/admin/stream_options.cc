// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/stream_options.h"

#include <array>
#include <string_view>

#include "proto/address.h"
#include "tools/common/size.h"
#include "tools/stream/stream_format.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

constexpr std::array<std::string_view, 4> kOfSend{"from", "dry-run", "output", "resume"};
constexpr std::array<std::string_view, 3> kOfBoth{"to", "compress", "limit"};
constexpr std::array<std::string_view, 5> kOfReceive{"input", "resume-from-token", "resume-token",
                                                     "abort", "replica"};

template <class Names>
Status only_for(const po::variables_map& values, const Names& names, const char* command) {
  for (const auto name : names)
    if (values.count(std::string(name)) != 0)
      return Status(Code::invalid, "--" + std::string(name) + " is for " + command);
  return {};
}

std::string text_of(const po::variables_map& values, const char* name) {
  return values.count(name) != 0 ? values[name].as<std::string>() : std::string();
}

Status take_token(const po::variables_map& values, const char* name, StreamLine& line) {
  if (values.count(name) == 0) return {};
  auto token = ResumeToken::parse(text_of(values, name));
  if (!token.ok()) return token.status().with_context(std::string("--") + name);
  line.resume = *token;
  return {};
}

Status take_file(const po::variables_map& values, StreamLine& line) {
  if (values.count("file") == 0) return {};
  line.file = text_of(values, "file");
  if (line.file.empty() || line.file.size() > kMaxStreamName || line.file == "." ||
      line.file == ".." || line.file.find('/') != std::string::npos)
    return Status(Code::invalid, "--file " + line.file + " is no name of a file in one folder");
  return {};
}

Status take_destination(const po::variables_map& values, StreamLine& line) {
  line.output = text_of(values, "output");
  line.to = text_of(values, "to");
  if (values.count("to") == 0) return {};
  if (values.count("output") != 0)
    return Status(Code::invalid, "--to and --output do not go together");
  const auto address = parse_address(line.to);
  return address.ok() ? Status() : address.status().with_context("--to " + line.to);
}

Status take_limit(const po::variables_map& values, StreamLine& line) {
  if (values.count("limit") == 0) return {};
  const auto rate = parse_size(text_of(values, "limit"));
  if (!rate.ok()) return rate.status().with_context("--limit");
  if (*rate == 0) return Status(Code::invalid, "--limit 0 would send nothing");
  line.limit = *rate;
  return {};
}

Status take_compression(const po::variables_map& values, StreamLine& line) {
  if (values.count("compress") == 0) return {};
  if (text_of(values, "compress") != "zstd")
    return Status(Code::invalid, "--compress knows zstd only");
  line.compress = true;
  return {};
}

}  // namespace

void add_stream_options(po::options_description& options) {
  const auto text = [](const char* what) { return po::value<std::string>()->value_name(what); };
  auto add = options.add_options();
  add("from", text("OLD"), "send: only what differs from this snapshot, which the receiver has");
  add("file", text("NAME"), "send, receive: what the volume is called in the stream (volume.img)");
  add("output", text("FILE"), "send: write there, not to standard output");
  add("to", text("ADDRESS"),
      "send, replicate: to the csnapd there, which receives it, and tell what it says; unix:PATH "
      "or HOST:PORT");
  add("compress", text("zstd"), "send, replicate: compress; receive finds out by itself");
  add("limit", text("RATE"), "send, replicate: at most so many bytes a second, such as 10M");
  add("dry-run", "send: say what would be read, and send nothing");
  add("resume", text("TOKEN"), "send: go on where the receiver says it was cut off");
  add("input", text("FILE"), "receive: read there, not from standard input");
  add("resume-from-token", text("TOKEN"), "receive: the stream goes on there");
  add("resume-token", "receive: print the token to go on with, and receive nothing");
  add("abort", "receive: give up what was cut off, and bring the origin back");
  add("replica", "receive: the volume is a replica from then on, which clients only read");
}

Status take_stream_options(const po::variables_map& values, const std::string& command,
                           StreamLine& line) {
  if (command != "send") CSNAP_TRY(only_for(values, kOfSend, "send"));
  if (command != "send" && command != "replicate")
    CSNAP_TRY(only_for(values, kOfBoth, "send and replicate"));
  if (command != "receive") CSNAP_TRY(only_for(values, kOfReceive, "receive"));
  if (command != "send" && command != "receive" && values.count("file") != 0)
    return Status(Code::invalid, "--file is for send and receive");
  line.from = text_of(values, "from");
  line.input = text_of(values, "input");
  line.dry_run = values.count("dry-run") != 0;
  line.show_token = values.count("resume-token") != 0;
  line.abort = values.count("abort") != 0;
  line.replica = values.count("replica") != 0;
  CSNAP_TRY(take_token(values, "resume", line));
  CSNAP_TRY(take_token(values, "resume-from-token", line));
  CSNAP_TRY(take_file(values, line));
  CSNAP_TRY(take_destination(values, line));
  CSNAP_TRY(take_limit(values, line));
  return take_compression(values, line);
}

}  // namespace csnap
