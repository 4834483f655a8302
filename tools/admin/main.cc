// SPDX-License-Identifier: Apache-2.0
// csnap-admin: parses, asks the server, prints.
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/csnap.h"
#include "store/size.h"
#include "store/tables.h"
#include "tools/admin/confirm.h"
#include "tools/admin/copy.h"
#include "tools/admin/handle.h"
#include "tools/admin/options.h"
#include "tools/admin/patience.h"
#include "tools/admin/receive_end.h"
#include "tools/admin/replicate_command.h"
#include "tools/admin/report.h"
#include "tools/admin/rmap.h"
#include "tools/admin/role_commands.h"
#include "tools/admin/stream_commands.h"
#include "tools/common/json.h"
#include "tools/common/progress.h"
#include "tools/replicate/replicator.h"

namespace csnap {
namespace {

namespace json = boost::json;

constexpr int kUsage = 2;
constexpr int kStaleHandle = 8;

// csnap-admin(8) promises these.
int exit_code(const Status& status) {
  switch (status.code()) {
    case Code::ok:
      return 0;
    case Code::not_found:
    case Code::stale:
      return 3;
    case Code::unavailable:
      return 4;
    case Code::exists:
    case Code::busy:
    case Code::cancelled:
      return 5;
    case Code::no_space:
      return 6;
    case Code::corrupt:
    case Code::lost:
      return 7;
    default:
      return 1;
  }
}

void print(const json::object& object) {
  std::cout << to_json_text(object);
}

Status create(Admin& admin, const AdminCommandLine& line) {
  CSNAP_TRY(check_snapshot_name(line.names[0]));
  CSNAP_ASSIGN(const auto made, admin.create(line.names[0]));
  if (line.json) {
    print(snapshot_json(made, 0));
  } else {
    std::cout << "created " << made.name << ", id " << made.id << ", at "
              << format_time(made.created_ns) << '\n';
  }
  return {};
}

Status remove(Admin& admin, const AdminCommandLine& line) {
  const std::string& name = line.names[0];
  if (!line.force)
    CSNAP_TRY(confirm("Delete the snapshot " + name + " and what it holds?",
                      "the snapshot " + name + " was not deleted"));
  CSNAP_TRY(unless_busy_for_long([&] { return admin.remove(name, line.force); }));
  if (line.json) {
    print({{"deleted", name}});
  } else {
    std::cout << "deleted " << name << "; its space follows\n";
  }
  return {};
}

Status rename(Admin& admin, const AdminCommandLine& line) {
  CSNAP_TRY(check_snapshot_name(line.names[1]));
  CSNAP_TRY(admin.rename(line.names[0], line.names[1]));
  if (line.json) {
    print({{"renamed", line.names[0]}, {"to", line.names[1]}});
  } else {
    std::cout << "renamed " << line.names[0] << " to " << line.names[1] << '\n';
  }
  return {};
}

Status list(Admin& admin, const AdminCommandLine& line) {
  CSNAP_ASSIGN(const auto snapshots, admin.list());
  if (line.json) {
    print(list_json(snapshots));
  } else {
    std::cout << list_text(snapshots);
  }
  return {};
}

Status status(Admin& admin, const AdminCommandLine& line) {
  CSNAP_ASSIGN(const auto now, admin.status());
  CSNAP_ASSIGN(const auto snapshots, admin.list());
  if (line.json) {
    print(status_json(now, snapshots, wall_clock_ns()));
  } else {
    std::cout << status_text(now, snapshots, wall_clock_ns());
  }
  return {};
}

Status locks(Admin& admin, const AdminCommandLine& line) {
  CSNAP_ASSIGN(const auto held, admin.locks());
  CSNAP_ASSIGN(const auto snapshots, admin.list());
  const SnapshotNames names(snapshots);
  if (line.json) {
    print(locks_json(held, names));
  } else {
    std::cout << locks_text(held, names);
  }
  return {};
}

// A page at a time: a store may hold more than fits into memory.
// told: a failure is in the document already.
Status dump(Admin& admin, const AdminCommandLine& line, bool& told) {
  CSNAP_ASSIGN(const auto snapshots, admin.list());
  const SnapshotNames names(snapshots);
  std::uint64_t from = 0;
  std::uint64_t lines = 0;
  std::cout << (line.json ? "{\"exceptions\":[" : exceptions_title());
  Status failed;
  for (bool more = true; more;) {
    auto page = admin.dump(from, 0);
    if (!page) {
      failed = page.status();
      break;
    }
    for (const auto& exception : page->lines) {
      if (line.json) {
        std::cout << (lines == 0 ? "\n" : ",\n")
                  << json::serialize(exception_json(exception, names));
      } else {
        std::cout << exception_text(exception, names);
      }
      ++lines;
    }
    from = page->next;
    more = page->more && std::cout.good();
  }
  if (line.json) {
    std::cout << ']';
    // What began as one document ends as one.
    if (!failed) std::cout << ",\"error\":" << json::serialize(error_json(failed).at("error"));
    std::cout << "}\n";
    told = true;
  }
  return failed;
}

// Gives the server as much time between two steps as a step takes: a check costs it half of what
// nobody else wants, at most.
// told: what was found is in the document already.
Status check(Admin& admin, const AdminCommandLine& line, bool& told) {
  using Clock = std::chrono::steady_clock;
  CSNAP_ASSIGN(const auto snapshots, admin.list());
  const SnapshotNames names(snapshots);
  CheckResult result;
  {
    Progress progress("checking", line.progress || is_terminal(STDERR_FILENO));
    auto began = Clock::now();
    CSNAP_ASSIGN(auto page, admin.begin_check(line.data));
    for (;;) {
      result.add(page);
      progress.update(page.progress);
      if (page.done) break;
      std::this_thread::sleep_for(
          std::min<Clock::duration>(Clock::now() - began, std::chrono::seconds(1)));
      began = Clock::now();
      CSNAP_ASSIGN(page, admin.next_check(page.id));
    }
  }
  if (line.json)
    print(check_json(result, line.data, names));
  else
    std::cout << check_text(result, line.data, names);
  told = true;
  return result.damages == 0 ? Status()
                             : Status(Code::corrupt,
                                      "the store is damaged; stop the server and "
                                      "run csnap-check --repair");
}

// Asks the server for nothing but the volumes.
Status copy(const AdminCommandLine& line) {
  CopyRequest request;
  request.source = line.names[0];
  request.destination = line.names[1];
  request.addresses = line.addresses;
  request.force = line.force;
  Progress progress("copying", line.progress || is_terminal(STDERR_FILENO));
  request.progress = [&progress](double part) { progress.update(part); };
  CSNAP_ASSIGN(const CopyOutcome outcome, copy_volume(request));
  progress.clear();
  if (line.json) {
    print({{"source", line.names[0]},
           {"destination", outcome.destination},
           {"size", outcome.size},
           {"written", outcome.written},
           {"made", outcome.made}});
  } else {
    std::cout << "copied " << line.names[0] << " to " << outcome.destination << ": "
              << format_size(outcome.size) << ", of which " << format_size(outcome.written)
              << " had to be written\n";
  }
  return {};
}

Status run(Admin& admin, const AdminCommandLine& line, bool& told) {
  switch (line.command) {
    case AdminCommand::create:
      return create(admin, line);
    case AdminCommand::remove:
      return remove(admin, line);
    case AdminCommand::rename:
      return rename(admin, line);
    case AdminCommand::list:
      return list(admin, line);
    case AdminCommand::status:
      return status(admin, line);
    case AdminCommand::locks:
      return locks(admin, line);
    case AdminCommand::dump:
      return dump(admin, line, told);
    case AdminCommand::check:
      return check(admin, line, told);
    case AdminCommand::rmap:
      return tell_rmap(admin, line, told);
    case AdminCommand::handle:
      return tell_handle(admin, line);
    case AdminCommand::resolve:
      return resolve_handle(admin, line);
    case AdminCommand::promote:
      return promote(admin, line);
    case AdminCommand::demote:
      return demote(admin, line);
    case AdminCommand::copy:
    case AdminCommand::replicate:
      break;  // see run_command()
    case AdminCommand::send:
      return send_snapshot(admin, line, told);
    case AdminCommand::receive:
      return receive_snapshots(admin, line, told);
  }
  return Status(Code::internal, "a command without a function");
}

Status connect_and_run(const AdminCommandLine& line, bool& told) {
  AdminOptions options;
  options.addresses = line.addresses;
  CSNAP_ASSIGN(const auto admin, Admin::connect(options));
  return run(*admin, line, told);
}

Status run_command(const AdminCommandLine& line, bool& told) {
  // These need no connection of this kind, or outlive it.
  if (line.command == AdminCommand::copy) return copy(line);
  if (line.command == AdminCommand::replicate) return replicate(line, told);
  return connect_and_run(line, told);
}

int run_and_tell(const AdminCommandLine& line) {
  bool told = false;
  Status outcome = run_command(line, told);
  std::cout.flush();
  if (outcome.ok() && !std::cout.good()) {
    outcome = Status(Code::io_error, "standard output cannot be written");
  }
  if (!outcome) {
    if (line.json && !told) print(error_json(outcome));
    std::cout.flush();
    std::fprintf(stderr, "csnap-admin: %s\n", outcome.message().c_str());
  }
  if (line.command == AdminCommand::receive) take_leave();
  if (line.command == AdminCommand::resolve && outcome.code() == Code::stale) return kStaleHandle;
  return exit_code(outcome);
}

}  // namespace
}  // namespace csnap

int main(int argc, char** argv) {
  auto line = csnap::parse_admin_command_line(std::vector<std::string>(argv + 1, argv + argc));
  if (!line) {
    std::fprintf(stderr, "csnap-admin: %s\nTry csnap-admin --help.\n",
                 line.status().message().c_str());
    return csnap::kUsage;
  }
  if (line->help) {
    std::fputs(csnap::admin_usage().c_str(), stdout);
    return 0;
  }
  if (line->version) {
    std::puts("csnap-admin " CSNAP_VERSION);
    return 0;
  }
  return csnap::run_and_tell(*line);
}
