// SPDX-License-Identifier: Apache-2.0
// csnap-admin's command line. Pure.
#pragma once

#include <string>
#include <vector>

#include "store/status.h"
#include "tools/admin/replicate_options.h"
#include "tools/admin/stream_options.h"
#include "tools/rmap/run.h"

namespace csnap {

enum class AdminCommand {
  create,
  remove,
  rename,
  list,
  status,
  locks,
  dump,
  check,
  rmap,
  handle,
  resolve,
  copy,
  send,
  receive,
  replicate,
  promote,
  demote,
};

struct AdminCommandLine {
  AdminCommand command = AdminCommand::list;
  std::vector<std::string> names;      // as many as the command takes
  std::vector<std::string> addresses;  // empty: the default ones
  bool json = false;
  bool force = false;     // delete, receive, send --to, copy, replicate, promote
  bool data = false;      // check: the data of the copied chunks, too
  RmapRequest rmap;       // but for json
  bool progress = false;  // not for all commands: show it although standard error is no terminal
  StreamLine stream;      // send, receive, replicate
  ReplicateLine replicate;
  bool help = false;  // when one of these two is set, nothing else counts
  bool version = false;
};

// What --help prints.
std::string admin_usage();
// The arguments, without the program's name. invalid, with a sentence for people.
Result<AdminCommandLine> parse_admin_command_line(const std::vector<std::string>& arguments);

}  // namespace csnap
