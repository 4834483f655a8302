// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/stream_commands.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <iostream>
#include <utility>

#include "store/errno_status.h"
#include "tools/admin/receive_end.h"
#include "tools/admin/report.h"
#include "tools/common/json.h"
#include "tools/common/progress.h"
#include "tools/common/size.h"
#include "tools/stream/answer.h"
#include "tools/stream/receiver.h"
#include "tools/stream/sender.h"
#include "tools/stream/stream_format.h"

namespace csnap {
namespace {

namespace json = boost::json;

constexpr int kPipeBytes = 1 << 20;
// For the receiver's answer. To keep what came takes it a moment; to make a snapshot, as long as
// the origin's clients there take for that.
constexpr std::chrono::seconds kUntilItEnds{0};
constexpr std::chrono::seconds kAfterFailure{10};

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
    if (fd < 0) return errno_status(errno, path + ": cannot be opened");
    return StreamFile(fd, path, true);
  }

  int fd_;
  std::string name_;
  bool own_;
};

// How far, how fast, how much longer.
class StreamProgress {
 public:
  StreamProgress(const char* what, bool shown, std::uint64_t all)
      : progress_(what, shown), all_(std::max<std::uint64_t>(all, 1)) {}

  void update(std::uint64_t done) {
    const std::chrono::duration<double> so_far = std::chrono::steady_clock::now() - began_;
    const double rate = static_cast<double>(done) / std::max(so_far.count(), 1e-3);
    progress_.update(static_cast<double>(done) / static_cast<double>(all_),
                     format_size(static_cast<std::uint64_t>(rate)) + "/s");
  }

 private:
  Progress progress_;
  const std::uint64_t all_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
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

// Of a failure to send elsewhere: with what to go on.
std::string advice(const AdminCommandLine& line, const std::optional<ResumeToken>& token) {
  const std::string& to = line.stream.to;
  if (!token)
    return "; csnap-admin --server " + to +
           " receive --resume-token says whether something was kept";
  std::string command = "csnap-admin";
  for (const auto& address : line.addresses) command += " --server " + address;
  command += " send --to " + to;
  if (!line.stream.from.empty()) command += " --from " + line.stream.from;
  return "; what came is kept there. Go on with: " + command + " --resume " + token->to_string() +
         " " + line.names[0];
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

void tell_taken(const AdminCommandLine& line, const Sender& sender, std::uint64_t written,
                const StreamAnswer& answer) {
  if (line.json) {
    json::object object = plan_json(line.names[0], sender.plan());
    object["to"] = line.stream.to;
    object["data_bytes"] = sender.data_bytes();
    object["stream_bytes"] = written;
    object["received"] = answer.document;
    std::cout << to_json_text(object);
  } else {
    std::cout << "sent " << line.names[0] << " to " << line.stream.to << ": "
              << format_size(sender.data_bytes()) << " of data, " << format_size(written)
              << " written; it is a snapshot there\n";
  }
}

Status send_to(Sender& sender, const AdminCommandLine& line, bool& told) {
  const StreamLine& options = line.stream;
  StreamOptions there;
  there.addresses = {options.to};
  there.force = line.force;
  CSNAP_ASSIGN(const auto connection, StreamConnection::open(there));
  ByteOutput output([&](std::span<const std::byte> bytes) { return connection->write(bytes); },
                    {options.compress, options.limit});
  StreamProgress progress("sending", show_progress(line), sender.plan().bytes);
  std::uint64_t done = 0;
  Status failure =
      sender.send(output, [&](std::uint64_t bytes) { progress.update(done += bytes); });
  const bool ours = !failure.ok() && failure.code() != Code::cancelled;
  static_cast<void>(connection->finish_sending());  // then there is no answer either
  const auto text = connection->read_reply(failure.ok() ? kUntilItEnds : kAfterFailure);
  auto answer = text.ok() ? parse_stream_answer(*text) : text.status();
  if (answer.ok() && answer->status.ok() && failure.ok()) {
    tell_taken(line, sender, output.written(), *answer);
    return {};
  }
  // Whose failure it was: ours, else that of the receiver, which is why nothing more was taken.
  if (!ours && !answer.ok()) failure = answer.status();
  if (!ours && answer.ok() && !answer->status.ok())
    failure = answer->status.with_context(options.to);
  return tell_not_taken(line, failure, answer.ok() ? answer->token : std::nullopt, told);
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
    std::cout << to_json_text({{"aborted", true}});
  else
    std::cout << "the origin is where it was before\n";
  return {};
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
  CSNAP_ASSIGN(auto target,
               OriginTarget::open(admin, {line.addresses, line.force,
                                          options.file.empty() ? kVolumeFile : options.file}));
  if (options.abort) return abort_receive(line, *target);
  CSNAP_TRY(check_resume(options, target->token()));
  CSNAP_ASSIGN(const auto file, StreamFile::input(options.input));
  std::signal(SIGPIPE, SIG_IGN);  // whoever sent may not care what came of it
  end_input_on_signal(file.fd());
  ByteInput input(file.fd(), file.name());
  StreamProgress progress("receiving", show_progress(line), target->size());
  const ReceiveOutcome outcome =
      receive_streams(input, *target, [&](std::uint64_t reached) { progress.update(reached); });
  if (outcome.status.ok()) {
    tell_received(line, outcome);
    return {};
  }
  const Status failure = input_ended_by_signal()
                             ? outcome.status.with_context("told to end by a signal")
                             : outcome.status;
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
