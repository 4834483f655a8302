// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/options.h"

#include <array>
#include <sstream>
#include <utility>

#include "tools/common/client_options.h"
#include "tools/common/command_line.h"
#include "tools/rmap/options.h"

namespace csnap {
namespace {

namespace po = boost::program_options;

struct CommandForm {
  const char* word;
  AdminCommand command;
  std::size_t names;  // how many it takes
  const char* form;
  const char* what;
  std::size_t more = 0;  // that it may take besides
};
constexpr std::array<CommandForm, 17> kCommands{{
    {"create", AdminCommand::create, 1, "create NAME", "make a snapshot of the origin"},
    {"delete", AdminCommand::remove, 1, "delete NAME [--force]", "remove a snapshot"},
    {"rename", AdminCommand::rename, 2, "rename OLD NEW", "give a snapshot another name"},
    {"list", AdminCommand::list, 0, "list", "the snapshots"},
    {"status", AdminCommand::status, 0, "status", "the server and its store"},
    {"locks", AdminCommand::locks, 0, "locks", "what readers of snapshots hold"},
    {"dump", AdminCommand::dump, 0, "dump", "what lies where in the store"},
    {"check", AdminCommand::check, 0, "check [--data]", "check the store while it serves"},
    {"rmap", AdminCommand::rmap, 0, "rmap [BEGIN..END]", "what each chunk of the store is", 1},
    {"handle", AdminCommand::handle, 1, "handle NAME", "what names a volume for ever"},
    {"resolve", AdminCommand::resolve, 1, "resolve HANDLE", "the volume that a handle names"},
    {"copy", AdminCommand::copy, 2, "copy SOURCE DESTINATION [--force]",
     "copy a volume: snapshot:NAME, origin, a device, a file, a tree of block files"},
    {"send", AdminCommand::send, 1, "send [--from OLD] [--to ADDRESS] NAME",
     "write a snapshot as a stream, or send it to another server"},
    {"receive", AdminCommand::receive, 0, "receive", "make snapshots of a stream"},
    {"replicate", AdminCommand::replicate, 0, "replicate --to ADDRESS NAME | --schedule EVERY",
     "bring another server up to a snapshot, once or again and again", 1},
    {"promote", AdminCommand::promote, 0, "promote [--force]", "a replica becomes a primary"},
    {"demote", AdminCommand::demote, 0, "demote", "the volume becomes a replica"},
}};

po::options_description options_description() {
  po::options_description options("Options");
  auto add = options.add_options();
  add("server", po::value<std::vector<std::string>>()->value_name("ADDRESS"),
      "unix:PATH or HOST:PORT. Default: where csnapd listens by default");
  add("json", "print JSON");
  add("force",
      "delete: do not ask, and take the snapshot away from clients that have it open;\n"
      "receive, send --to, replicate: overwrite what the origin there holds and no snapshot does;\n"
      "promote: do not ask before an unfinished receive is given up;\n"
      "copy: write to a destination that may hold something");
  add("data", "check: compare the data of every copied chunk with its checksum, too");
  add("bad-sectors", po::value<std::string>()->value_name("FILE"),
      "rmap: instead, what is hurt by the blocks of the store that badblocks listed in FILE "
      "(-: standard input)");
  add("block-size", po::value<std::string>()->value_name("SIZE"),
      "rmap --bad-sectors: the blocks are of so many bytes; as badblocks, 1024 by default");
  add("progress",
      "check, copy, send, receive, replicate: show how far it is, also when standard error is no "
      "terminal");
  add_stream_options(options);
  add_replicate_options(options);
  add("version", "print the version");
  add("help,h", "print this text");
  return options;
}

Status usage_error(const std::string& text) {
  return Status(Code::invalid, text);
}

Status take_rmap(AdminCommandLine& options) {
  const bool bad_sectors = !options.rmap.bad_sectors.empty();
  if (options.command != AdminCommand::rmap)
    return bad_sectors ? usage_error("--bad-sectors is for rmap") : Status();
  if (options.names.empty()) return {};
  if (bad_sectors) return usage_error("a range and --bad-sectors do not go together");
  options.rmap.range = options.names[0];
  return check_store_range(options.rmap.range);
}

Status take_command(const std::vector<std::string>& words, AdminCommandLine& options) {
  if (words.empty()) return usage_error("no command");
  for (const auto& command : kCommands) {
    if (words[0] != command.word) continue;
    if (words.size() - 1 < command.names || words.size() - 1 > command.names + command.more) {
      return usage_error(std::string("it is: csnap-admin ") + command.form);
    }
    options.command = command.command;
    options.names.assign(words.begin() + 1, words.end());
    const AdminCommand now = options.command;
    const bool copies = now == AdminCommand::copy || now == AdminCommand::receive ||
                        now == AdminCommand::send || now == AdminCommand::replicate;
    if (options.force && now != AdminCommand::remove && now != AdminCommand::promote && !copies) {
      return usage_error("--force is for delete, receive, send --to, copy, replicate and promote");
    }
    if (options.data && now != AdminCommand::check) return usage_error("--data is for check");
    if (options.progress && now != AdminCommand::check && !copies) {
      return usage_error("--progress is for check, copy, send, receive and replicate");
    }
    return take_rmap(options);
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
    constexpr std::size_t kWidth = 24;
    const std::string form = command.form;
    text << "  " << form
         << (form.size() < kWidth ? std::string(kWidth - form.size(), ' ')
                                  : "\n  " + std::string(kWidth, ' '))
         << command.what << '\n';
  }
  text << '\n'
       << options_description()
       << "\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 no such snapshot, 4 the server\n"
          "cannot be reached, 5 in the way (name taken, snapshot in use, answered no), 6 full,\n"
          "7 damage was found, 8 the handle is stale.\n"
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
  CSNAP_ASSIGN(options.addresses, take_servers(values));
  CSNAP_TRY(take_rmap_options(values, options.rmap));
  std::vector<std::string> words;
  if (values.count("words") != 0) words = values["words"].as<std::vector<std::string>>();
  CSNAP_TRY(take_command(words, options));
  CSNAP_TRY(take_stream_options(values, words[0], options.stream));
  CSNAP_TRY(take_replicate_options(values, words, options.replicate));
  if (options.force && options.command == AdminCommand::send && options.stream.to.empty())
    return usage_error("--force of send is for --to");
  return options;
}

}  // namespace csnap
