// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/options.h"

#include <array>
#include <sstream>
#include <utility>

#include "proto/address.h"
#include "tools/common/command_line.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

struct CommandForm {
  const char* word;
  AdminCommand command;
  std::size_t names;  // how many it takes
  const char* form;
  const char* what;
};
constexpr std::array<CommandForm, 10> kCommands{{
    {"create", AdminCommand::create, 1, "create NAME", "make a snapshot of the origin"},
    {"delete", AdminCommand::remove, 1, "delete NAME [--force]", "remove a snapshot"},
    {"rename", AdminCommand::rename, 2, "rename OLD NEW", "give a snapshot another name"},
    {"list", AdminCommand::list, 0, "list", "the snapshots"},
    {"status", AdminCommand::status, 0, "status", "the server and its store"},
    {"locks", AdminCommand::locks, 0, "locks", "what readers of snapshots hold"},
    {"dump", AdminCommand::dump, 0, "dump", "what lies where in the store"},
    {"check", AdminCommand::check, 0, "check [--data]", "check the store while it serves"},
    {"send", AdminCommand::send, 1, "send [--from OLD] NAME", "write a snapshot as a stream"},
    {"receive", AdminCommand::receive, 0, "receive", "make snapshots of a stream"},
}};

po::options_description options_description() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("server", po::value<std::vector<std::string>>()->value_name("ADDRESS"),
      "unix:PATH or HOST:PORT. Default: where csnapd listens by default");
  add("json", "print JSON");
  add("force",
      "delete: do not ask, and take the snapshot away from clients that have it open. receive: "
      "overwrite what the origin holds");
  add("data", "check: compare the data of every copied chunk with its checksum, too");
  add("progress",
      "check, send, receive: show how far it is, also when standard error is no terminal");
  add_stream_options(options);
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

Status usage_error(const std::string& text) {
  return Status(Code::invalid, text);
}

Status take_command(const std::vector<std::string>& words, AdminCommandLine& options) {
  if (words.empty()) return usage_error("no command");
  for (const auto& command : kCommands) {
    if (words[0] != command.word) continue;
    if (words.size() - 1 != command.names) {
      return usage_error(std::string("it is: csnap-admin ") + command.form);
    }
    options.command = command.command;
    options.names.assign(words.begin() + 1, words.end());
    const AdminCommand now = options.command;
    const bool streams = now == AdminCommand::send || now == AdminCommand::receive;
    if (options.force && now != AdminCommand::remove && now != AdminCommand::receive) {
      return usage_error("--force is for delete and receive");
    }
    if (options.data && now != AdminCommand::check) return usage_error("--data is for check");
    if (options.progress && now != AdminCommand::check && !streams) {
      return usage_error("--progress is for check, send and receive");
    }
    return {};
  }
  return usage_error("there is no command " + words[0]);
}

}  // namespace

std::string admin_usage() {
  std::ostringstream text;
  text << "Usage: csnap-admin [--server ADDRESS] [--json] COMMAND\n"
          "Makes, removes and looks at the snapshots of a volume, through its csnapd.\n\n"
          "Commands:\n";
  for (const auto& command : kCommands) {
    text << "  " << command.form << std::string(24 - std::string(command.form).size(), ' ')
         << command.what << '\n';
  }
  text << '\n'
       << options_description()
       << "\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 no such snapshot, 4 the server\n"
          "cannot be reached, 5 in the way (name taken, snapshot in use, answered no), 6 full,\n"
          "7 the check found damage.\n"
          "See csnap-admin(8).\n";
  return text.str();
}

Result<AdminCommandLine> parse_admin_command_line(const std::vector<std::string>& arguments) {
  AdminCommandLine options;
  po::options_description hidden;
  hidden.add_options()("words", po::value<std::vector<std::string>>());
  po::options_description all;
  all.add(options_description()).add(hidden);
  po::positional_options_description positional;
  positional.add("words", -1);
  CSNAP_ASSIGN(const po::variables_map values, parse_words(arguments, all, positional));
  options.help = values.count("help") != 0;
  options.version = values.count("version") != 0;
  if (options.help || options.version) return options;
  options.json = values.count("json") != 0;
  options.force = values.count("force") != 0;
  options.data = values.count("data") != 0;
  options.progress = values.count("progress") != 0;
  if (values.count("server") != 0) {
    options.addresses = values["server"].as<std::vector<std::string>>();
    for (const auto& text : options.addresses) {
      auto address = parse_address(text);
      if (!address) return address.status().with_context("--server " + text);
    }
  }
  std::vector<std::string> words;
  if (values.count("words") != 0) words = values["words"].as<std::vector<std::string>>();
  CSNAP_TRY(take_command(words, options));
  CSNAP_TRY(take_stream_options(values, words[0], options.stream));
  return options;
}

}  // namespace csnap
