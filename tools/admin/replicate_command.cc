// SPDX-License-Identifier: Apache-2.0
#include "tools/admin/replicate_command.h"

#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>

#include "client/csnap.h"
#include "tools/admin/report.h"
#include "tools/admin/stream_progress.h"
#include "tools/common/json.h"
#include "tools/replicate/continuous.h"
#include "tools/replicate/replicator.h"

namespace csnap {
namespace {

namespace json = boost::json;

json::object sent_json(const SentSnapshot& sent) {
  json::object object{{"name", sent.name},
                      {"from_offset", sent.from},
                      {"data_bytes", sent.data_bytes},
                      {"stream_bytes", sent.written}};
  if (!sent.parent.empty()) object["from"] = sent.parent;
  return object;
}

// Progress, and what people read: what was done to standard output, what is amiss to standard
// error.
class TextReport : public ReplicationReport {
 public:
  TextReport(std::string to, bool progress) : to_(std::move(to)), shown_(progress) {}

  void progress(const std::string& name, std::uint64_t done, std::uint64_t all) override {
    const std::lock_guard lock(mutex_);
    if (name != current_) {
      progress_.emplace("sending " + name, shown_, all);
      current_ = name;
    }
    progress_->update(done);
  }
  void sent(const SentSnapshot& sent) override {
    ++count_;
    say("sent " + sent.name + " to " + to_ + ": " + format_size(sent.data_bytes) +
        (sent.parent.empty() ? " of data, " : " that differ from " + sent.parent + ", ") +
        format_size(sent.written) + " written");
  }
  void created(const std::string& name) override { say("created " + name); }
  void deleted(const std::string& name, bool there) override {
    say("deleted " + name + (there ? " at " + to_ : std::string()));
  }
  void failing(const Status& status) override {
    warn(status.message() + "; it is tried again and again");
  }
  void going_on() override { say("it goes on"); }
  void cannot_delete(const Status& status) override {
    warn(to_ + ": " + status.message() +
         "; old snapshots there must be deleted there, as by cron, before it holds 64");
  }
  std::size_t count() const { return count_; }

 protected:
  void say(const std::string& text) { print(stdout, text); }

 private:
  void warn(const std::string& text) { print(stderr, "csnap-admin: " + text); }
  void print(std::FILE* to, const std::string& text) {
    const std::lock_guard lock(mutex_);
    progress_.reset();
    current_.clear();
    std::fprintf(to, "%s\n", text.c_str());
    std::fflush(to);
  }

  std::mutex mutex_;
  const std::string to_;
  const bool shown_;
  std::string current_;
  std::optional<StreamProgress> progress_;
  std::size_t count_ = 0;
};

// A line for each event, or all of what was sent for one document.
class JsonReport : public TextReport {
 public:
  JsonReport(const AdminCommandLine& line, bool progress, bool lines)
      : TextReport(line.stream.to, progress), lines_(lines) {}

  void sent(const SentSnapshot& sent) override {
    if (lines_)
      say("sent", sent_json(sent));
    else
      sent_.push_back(sent_json(sent));
  }
  void created(const std::string& name) override { say("created", {{"name", name}}); }
  void deleted(const std::string& name, bool there) override {
    say("deleted", {{"name", name}, {"where", there ? "target" : "source"}});
  }
  void failing(const Status& status) override { say("failing", error_json(status)); }
  void going_on() override { say("going_on", {}); }
  void cannot_delete(const Status& status) override { say("cannot_delete", error_json(status)); }
  json::array all() const { return sent_; }

 private:
  void say(const char* event, const json::object& more) {
    json::object object{{"event", event}, {"at_ns", wall_clock_ns()}};
    for (const auto& [key, value] : more) object[key] = value;
    TextReport::say(json::serialize(object));
  }

  const bool lines_;
  json::array sent_;
};

Result<std::unique_ptr<Admin>> connect(const AdminCommandLine& line) {
  AdminOptions options;
  options.addresses = line.addresses;
  return Admin::connect(options);
}

ReplicatorOptions replicator_of(const AdminCommandLine& line) {
  return {line.addresses, line.stream.to, {line.stream.compress, line.stream.limit}, {}};
}

Status forget(const AdminCommandLine& line) {
  CSNAP_ASSIGN(const auto admin, connect(line));
  CSNAP_ASSIGN(const auto status, admin->status());
  std::string known;
  for (const Replica& replica : status.replication.replicas) {
    known += (known.empty() ? "; known are: " : ", ") + replica.address;
    if (replica.address != line.stream.to) continue;
    CSNAP_TRY(admin->forget_replica(replica.store));
    if (line.json)
      std::cout << to_json_text({{"forgotten", line.stream.to}});
    else
      std::cout << "forgot the replica at " << line.stream.to << '\n';
    return {};
  }
  return Status(Code::not_found, "no replica at " + line.stream.to + " is known here" + known);
}

Status replicate_one(const AdminCommandLine& line, bool progress, bool& told) {
  CSNAP_ASSIGN(const auto admin, connect(line));
  const std::string& name = line.names[0];
  JsonReport json_report(line, progress, false);
  TextReport text_report(line.stream.to, progress);
  TextReport& report = line.json ? json_report : text_report;
  Replicator replicator(replicator_of(line), report);
  const Status status = replicator.bring(*admin, name, line.force);
  if (line.json) {
    json::object object{{"name", name}, {"to", line.stream.to}, {"sent", json_report.all()}};
    if (!status.ok()) object["error"] = error_json(status).at("error");
    std::cout << to_json_text(object);
    told = true;
  } else if (status.ok() && text_report.count() == 0) {
    std::cout << name << " is at " << line.stream.to << " already; nothing to do\n";
  }
  return status;
}

Status replicate_rounds(const AdminCommandLine& line, bool progress, bool& told) {
  JsonReport json_report(line, progress, true);
  TextReport text_report(line.stream.to, progress);
  TextReport& report = line.json ? json_report : text_report;
  const ReplicateLine& what = line.replicate;
  const ContinuousOptions options{what.every, what.keep, what.prefix, line.force};
  if (what.once) {
    const Status status = ContinuousReplication(replicator_of(line), options, report).once();
    if (line.json && !status.ok()) {
      json_report.failing(status);
      told = true;
    }
    return status;
  }
  const StopSignal stop;
  ReplicatorOptions replicator = replicator_of(line);
  replicator.stop = [&stop] { return stop.came(); };
  ContinuousReplication(std::move(replicator), options, report).run(stop);
  return {};
}

}  // namespace

Status replicate(const AdminCommandLine& line, bool& told) {
  const bool progress = line.progress || is_terminal(STDERR_FILENO);
  if (line.replicate.forget) return forget(line);
  if (line.names.empty()) return replicate_rounds(line, progress, told);
  return replicate_one(line, progress, told);
}

}  // namespace csnap
