// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/stream_commands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <iostream>
#include <string_view>
#include <utility>

#include "store/errno_status.h"
#include "tools/admin/receive_end.h"
#include "tools/admin/report.h"
#include "tools/admin/stream_progress.h"
#include "tools/common/json.h"
#include "tools/common/progress.h"
#include "tools/common/size.h"
#include "tools/stream/delivery.h"
#include "tools/stream/receiver.h"
#include "tools/stream/sender.h"
#include "tools/stream/stream_format.h"

namespace csnap {
namespace {

namespace json = boost::json;

constexpr int kPipeBytes = 1 << 20;
// Of a peer that is there and says nothing, which keeps others from the origin, and a replica from
// being promoted. Who sends a volume of zeros says something six times as often.
constexpr std::chrono::minutes kSilence{2};

bool is_socket(int fd) {
  struct stat there {};
  return ::fstat(fd, &there) == 0 && S_ISSOCK(there.st_mode);
}

// A descriptor of a file by name, or one of the standard ones.
class StreamFile {
 public:
  StreamFile(const StreamFile&) = delete;
  StreamFile& operator=(const StreamFile&) = delete;
  StreamFile(StreamFile&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), name_(std::move(other.name_)), own_(other.own_) {}
  ~StreamFile() {
    if (own_ && fd_ >= 0) ::close(fd_);
  }

  static Result<StreamFile> output(const std::string& path) {
    if (path.empty()) return standard(STDOUT_FILENO, "standard output");
    return open(path, O_WRONLY | O_CREAT | O_TRUNC);
  }
  static Result<StreamFile> input(const std::string& path) {
    if (path.empty())
      return standard(STDIN_FILENO, is_socket(STDIN_FILENO) ? "the connection" : "standard input");
    return open(path, O_RDONLY);
  }

  int fd() const { return fd_; }
  const std::string& name() const { return name_; }

 private:
  StreamFile(int fd, std::string name, bool own) : fd_(fd), name_(std::move(name)), own_(own) {}
  static Result<StreamFile> standard(int fd, const char* name) {
    if (::isatty(fd) != 0)
      return Status(Code::invalid, std::string(name) + " is a terminal; a stream is no text");
    ::fcntl(fd, F_SETPIPE_SZ, kPipeBytes);  // fewer turns; not everything is a pipe
    return StreamFile(fd, name, false);
  }
  static Result<StreamFile> open(const std::string& path, int flags) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    // Not "there is no such snapshot".
    if (fd < 0 && errno == ENOENT) return Status(Code::invalid, path + ": there is no such file");
    if (fd < 0) return errno_status(errno, path + ": cannot be opened");
    return StreamFile(fd, path, true);
  }

  int fd_;
  std::string name_;
  bool own_;
};

// Not where a server shares its terminal with us.
bool show_progress(const AdminCommandLine& line) {
  return line.progress || (is_terminal(STDERR_FILENO) && !is_socket(STDIN_FILENO));
}

json::object plan_json(const std::string& name, const SendPlan& plan) {
  json::object object{{"name", name},
                      {"uuid", plan.identity.uuid.to_string()},
                      {"ctransid", std::to_string(plan.identity.ctransid)},
                      {"volume_size", plan.volume_size},
                      {"from_offset", plan.from},
                      {"bytes_to_read", plan.bytes}};
  if (plan.parent) object["parent_uuid"] = plan.parent->uuid.to_string();
  return object;
}

void tell_plan(const AdminCommandLine& line, const SendPlan& plan) {
  const std::string& name = line.names[0];
  if (line.json)
    std::cout << to_json_text(plan_json(name, plan));
  else
    std::cout << name << ": " << format_size(plan.bytes) << " of " << format_size(plan.volume_size)
              << " to read, "
              << (plan.parent ? "what differs from " + line.stream.from
                              : std::string("of which zeros are not sent"))
              << '\n';
}

// Where the stream goes to standard output, nothing else may.
void tell_sent(const AdminCommandLine& line, const Sender& sender, std::uint64_t written) {
  const bool to_file = !line.stream.output.empty();
  if (line.json && to_file) {
    json::object object = plan_json(line.names[0], sender.plan());
    object["data_bytes"] = sender.data_bytes();
    object["stream_bytes"] = written;
    std::cout << to_json_text(object);
  } else {
    (to_file ? std::cout : std::cerr)
        << "sent " << line.names[0] << ": " << format_size(sender.data_bytes()) << " of data, "
        << format_size(written) << " written\n";
  }
}

// A word of a command that people may copy.
std::string for_shell(const std::string& word) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-_./:@%+,").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::ranges::all_of(word, plain)) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// Of a failure to send elsewhere: with what to go on.
std::string advice(const AdminCommandLine& line, const std::optional<ResumeToken>& token) {
  const std::string& to = line.stream.to;
  if (!token)
    return "; csnap-admin --server " + for_shell(to) +
           " receive --resume-token says whether something was kept";
  std::string command = "csnap-admin";
  for (const auto& address : line.addresses) command += " --server " + for_shell(address);
  command += " send --to " + for_shell(to);
  if (!line.stream.from.empty()) command += " --from " + for_shell(line.stream.from);
  if (!line.stream.file.empty()) command += " --file " + for_shell(line.stream.file);
  if (line.stream.compress) command += " --compress zstd";
  if (line.stream.limit != 0) command += " --limit " + std::to_string(line.stream.limit);
  return "; what came is kept there. Go on with: " + command + " --resume " + token->to_string() +
         " " + for_shell(line.names[0]);
}

Status tell_not_taken(const AdminCommandLine& line, const Status& failure,
                      const std::optional<ResumeToken>& token, bool& told) {
  if (line.json) {
    json::object object = error_json(failure);
    if (token) object["token"] = token->to_string();
    std::cout << to_json_text(object);
    told = true;
  }
  // What was refused as it is left nothing.
  const bool cut_off = token || failure.code() == Code::unavailable;
  return cut_off ? Status(failure.code(), failure.message() + advice(line, token)) : failure;
}

void tell_taken(const AdminCommandLine& line, const Sender& sender, const Delivery& delivery) {
  if (line.json) {
    json::object object = plan_json(line.names[0], sender.plan());
    object["to"] = line.stream.to;
    object["data_bytes"] = sender.data_bytes();
    object["stream_bytes"] = delivery.written;
    object["received"] = delivery.answer;
    std::cout << to_json_text(object);
  } else {
    std::cout << "sent " << line.names[0] << " to " << line.stream.to << ": "
              << format_size(sender.data_bytes()) << " of data, " << format_size(delivery.written)
              << " written; it is a snapshot there\n";
  }
}

Status send_to(Sender& sender, const AdminCommandLine& line, bool& told) {
  const StreamLine& options = line.stream;
  DeliveryOptions how;
  how.to.addresses = {options.to};
  how.to.force = line.force;
  how.output = {options.compress, options.limit};
  StreamProgress progress("sending", show_progress(line), sender.plan().bytes);
  const Delivery delivery =
      deliver(sender, how, [&](std::uint64_t done) { progress.update(done); });
  if (!delivery.status.ok()) return tell_not_taken(line, delivery.status, delivery.token, told);
  tell_taken(line, sender, delivery);
  return {};
}

Status check_resume(const StreamLine& line, const std::optional<ResumeToken>& here) {
  if (!line.resume || line.resume == here) return {};
  return Status(Code::stale,
                here ? "the receive here is at another place; its token is " + here->to_string()
                     : std::string("there is no receive here to go on with"));
}

Status tell_token(const AdminCommandLine& line, const std::optional<ResumeToken>& token) {
  if (!token) return Status(Code::not_found, "there is no receive to go on with");
  if (line.json)
    std::cout << to_json_text({{"token", token->to_string()},
                               {"offset", token->offset},
                               {"uuid", token->snapshot.uuid.to_string()}});
  else
    std::cout << token->to_string() << '\n';
  return {};
}

Status abort_receive(const AdminCommandLine& line, OriginTarget& target) {
  CSNAP_TRY(target.roll_back());
  if (line.json)
    std::cout << to_json_text({{"aborted", true}, {"brought_back", !target.left_as_it_is()}});
  else
    std::cout << (target.left_as_it_is() ? "given up; the origin stays as it is\n"
                                         : "the origin is where it was before\n");
  return {};
}

// The input ends at a signal, which is no fault of the stream.
Status why_it_ended(const Status& status) {
  if (status.ok() || !input_ended_by_signal()) return status;
  return status.with_context("told to end by a signal");
}

void tell_received(const AdminCommandLine& line, const ReceiveOutcome& outcome) {
  const StreamCounts& counts = outcome.counts;
  if (line.json)
    std::cout << to_json_text({{"snapshots", counts.snapshots},
                               {"writes", counts.writes},
                               {"clones", counts.clones},
                               {"truncates", counts.truncates},
                               {"ignored", counts.ignored},
                               {"data_bytes", counts.data_bytes},
                               {"cloned_bytes", counts.cloned_bytes},
                               {"bytes_in", outcome.bytes_in}});
  else
    std::cout << "received " << counts.snapshots
              << (counts.snapshots == 1 ? " snapshot: " : " snapshots: ")
              << format_size(counts.data_bytes) << " of data, " << counts.ignored
              << " commands that do not matter to a volume\n";
}

}  // namespace

Status send_snapshot(Admin& admin, const AdminCommandLine& line, bool& told) {
  const StreamLine& options = line.stream;
  if (line.json && options.output.empty() && options.to.empty() && !options.dry_run)
    return Status(Code::invalid,
                  "--json of send needs --output, --to or --dry-run: standard output "
                  "has the stream");
  CSNAP_ASSIGN(auto sender, Sender::prepare(admin, {line.addresses, line.names[0], options.from,
                                                    options.file, options.resume}));
  if (options.dry_run) {
    tell_plan(line, sender->plan());
    return {};
  }
  if (!options.to.empty()) return send_to(*sender, line, told);
  CSNAP_ASSIGN(const auto file, StreamFile::output(options.output));
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error to be told
  ByteOutput output(file.fd(), file.name(), {options.compress, options.limit});
  StreamProgress progress("sending", show_progress(line), sender->plan().bytes);
  std::uint64_t done = 0;
  CSNAP_TRY(sender->send(output, [&](std::uint64_t bytes) { progress.update(done += bytes); }));
  if (!options.output.empty() && ::fsync(file.fd()) != 0 && errno != EINVAL)
    return errno_status(errno, file.name() + ": cannot be made durable");
  tell_sent(line, *sender, output.written());
  return {};
}

Status receive_snapshots(Admin& admin, const AdminCommandLine& line, bool& told) {
  const StreamLine& options = line.stream;
  if (options.show_token) {
    CSNAP_ASSIGN(const auto status, admin.status());
    return tell_token(line, token_of(status.replication.receiving));
  }
  const auto open_target = [&] {
    return OriginTarget::open(admin, {line.addresses, line.force, options.replica,
                                      options.file.empty() ? kVolumeFile : options.file});
  };
  if (options.abort) {
    CSNAP_ASSIGN(const auto target, open_target());
    return abort_receive(line, *target);
  }
  CSNAP_ASSIGN(const auto file, StreamFile::input(options.input));
  std::signal(SIGPIPE, SIG_IGN);  // whoever sent may not care what came of it
  end_input_on_signal(file.fd());
  ByteInput input(file.fd(), file.name(),
                  is_socket(file.fd()) ? kSilence : std::chrono::seconds(0));
  StreamReader reader;
  CSNAP_TRY(why_it_ended(await_stream(input, reader)));
  CSNAP_ASSIGN(const auto target, open_target());
  CSNAP_TRY(check_resume(options, target->token()));
  StreamProgress progress("receiving", show_progress(line), target->size());
  const ReceiveOutcome outcome = receive_streams(
      input, reader, *target, [&](std::uint64_t reached) { progress.update(reached); });
  if (outcome.status.ok()) {
    tell_received(line, outcome);
    return {};
  }
  const Status failure = why_it_ended(outcome.status);
  if (!outcome.token) return failure;
  if (line.json) {
    json::object object = error_json(failure);
    object["token"] = outcome.token->to_string();
    std::cout << to_json_text(object);
    told = true;
  }
  return Status(failure.code(), failure.message() +
                                    "; what came is kept. Go on with csnap-admin send --resume " +
                                    outcome.token->to_string() +
                                    ", or give it up with csnap-admin receive --abort");
}

}  // namespace csnap
