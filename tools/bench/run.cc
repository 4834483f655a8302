// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/run.h"

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cmath>
#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>
#include <thread>

#include "client/names.h"
#include "tools/bench/snapshot_maker.h"

namespace csnap {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kSilence{10};  // after which a server is taken for dead
constexpr std::chrono::seconds kGoodbye{2};   // that it gets to hear that sessions are over
constexpr std::chrono::milliseconds kFirstBeat{500};

// Seconds of CPU that the process has used.
Result<double> cpu_of(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line))
    return Status(Code::not_found, "--server-pid " + std::to_string(pid) + ": no such process");
  // The name, in parentheses, may hold anything.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double own_cpu() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Bench {
 public:
  explicit Bench(const BenchOptions& options)
      : options_(options), timer_(io_), heart_(io_), signals_(io_, SIGINT, SIGTERM) {
    signals_.async_wait([this](boost::system::error_code cancelled, int) {
      if (!cancelled && failure_.ok()) failure_ = Status(Code::cancelled, "interrupted");
    });
  }

  Result<BenchResult> run() {
    const Status status = run_all();
    if (status.ok()) return std::move(result_);
    if (maker_) static_cast<void>(stop_maker());
    say_goodbye();
    if (!began_measuring_ || result_.answers == 0) return status;
    if (result_.seconds == 0) conclude();
    result_.cut_short = status;
    return std::move(result_);
  }

 private:
  using Askers = std::vector<std::unique_ptr<Asker>>;

  Status run_all() {
    if (options_.server_pid > 0) CSNAP_TRY(cpu_of(options_.server_pid).status());
    CSNAP_ASSIGN(const std::uint64_t chunks, find_server());
    beat();
    CSNAP_TRY(prepare(chunks));
    CSNAP_TRY(open(chunks));
    if (options_.snapshot_every_ms > 0) {
      CSNAP_ASSIGN(maker_,
                   SnapshotMaker::connect(address_.to_string(),
                                          std::chrono::milliseconds(options_.snapshot_every_ms)));
    }
    return measure();
  }

  // A server waits a lease for sessions that just go away.
  void say_goodbye() {
    const std::size_t before = left_;
    for (const auto& asker : askers_) asker->leave();
    if (preparer_) preparer_->leave();
    const auto until = Clock::now() + kGoodbye;
    io_.restart();
    while (left_ < before + askers_.size() + (preparer_ ? 1 : 0) && Clock::now() < until)
      if (io_.run_one_until(until) == 0) break;
  }

  // Until the condition holds, or something failed.
  Status until(const std::function<bool()>& condition) {
    while (!condition() && failure_.ok()) {
      io_.restart();
      io_.run_one();
    }
    return failure_;
  }

  AskerEvents events() {
    AskerEvents events;
    events.ready = [this] { ++ready_; };
    events.answered = [](std::uint64_t) {};
    events.failed = [this](const Status& why) {
      if (failure_.ok()) failure_ = why;
    };
    events.done = [this] { ++done_; };
    events.left = [this] { ++left_; };
    return events;
  }

  // The first address at which a server answers, and the chunks to ask it for.
  Result<std::uint64_t> find_server() {
    CSNAP_ASSIGN(const auto addresses, addresses_or_default(options_.servers));
    AdminOptions look;
    look.observer = true;
    Result<std::unique_ptr<Admin>> admin = Status(Code::unavailable, "no server");
    for (const Address& address : addresses) {
      address_ = address;
      look.addresses = {address.to_string()};
      if (admin = Admin::connect(look); admin.ok()) break;
    }
    CSNAP_TRY(admin.status());
    CSNAP_ASSIGN(const auto list, (*admin)->list());
    std::uint64_t chunks = (list.volume_size + list.chunk_size - 1) / list.chunk_size;
    if (options_.chunks > chunks)
      return Status(Code::out_of_range, "--chunks " + std::to_string(options_.chunks) +
                                            ": the volume has " + std::to_string(chunks));
    if (options_.chunks > 0) chunks = options_.chunks;
    if (options_.range > chunks)
      return Status(Code::out_of_range, "--range " + std::to_string(options_.range) +
                                            ": the volume has " + std::to_string(chunks) +
                                            " chunks");
    return chunks;
  }

  // Makes all of the origin unique.
  Status prepare(std::uint64_t chunks) {
    if (!options_.prepare) return {};
    constexpr std::uint64_t kAtOnce = 4096;
    const std::uint64_t range = std::min(kAtOnce, chunks);
    for (const std::uint64_t from : {range, std::uint64_t{1}}) {
      // Whole runs, then what is left over at the end: all of it once more, if there is any.
      if (from == 1 && chunks % range == 0) break;
      Places places(Pattern::once, chunks, from, 1);
      preparer_ = std::make_unique<Asker>(io_, address_, Kind::unique, "", 8, places, events());
      CSNAP_TRY(until([this] { return ready_ > 0; }));
      preparer_->start();
      CSNAP_TRY(until([this] { return done_ > 0; }));
      preparer_->leave();
      CSNAP_TRY(until([this] { return left_ > 0; }));
      preparer_.reset();
      ready_ = done_ = left_ = 0;
    }
    return {};
  }

  Status open(std::uint64_t chunks) {
    result_.loads.reserve(options_.loads.size());
    std::uint64_t seed = options_.seed;
    for (const LoadOptions& load : options_.loads) {
      LoadResult& result = result_.loads.emplace_back();
      result.load = load;
      places_.push_back(std::make_unique<Places>(options_.pattern, chunks, options_.range, seed++));
      for (std::size_t i = 0; i < load.connections; ++i) {
        AskerEvents events = this->events();
        events.answered = [this, &result](std::uint64_t ns) { answered(result, ns); };
        askers_.push_back(std::make_unique<Asker>(
            io_, address_, load.kind, load.kind == Kind::unique ? "" : options_.snapshot,
            options_.in_flight, *places_.back(), std::move(events)));
      }
    }
    return until([this] { return ready_ == askers_.size(); });
  }

  // What was asked in time and answered later is no part of the rate, but it did take so long.
  void answered(LoadResult& load, std::uint64_t ns) {
    ++all_;
    if (!began_measuring_) return;
    load.latencies.add(ns);
    if (!counting_) return;
    ++result_.answers;
    ++load.answers;
    if (options_.picture.empty()) return;
    const double at = std::chrono::duration<double>(Clock::now() - began_).count();
    const auto index = static_cast<std::size_t>(at / kMoment);
    if (result_.moments.size() <= index) result_.moments.resize(index + 1);
    ++result_.moments[index].answers;
    result_.moments[index].latencies.add(ns);
  }

  void beat() {
    const auto ms = askers_.empty() ? 0 : askers_.front()->heartbeat_ms();
    heart_.expires_after(ms > 0 ? std::chrono::milliseconds(ms) : kFirstBeat);
    heart_.async_wait([this](boost::system::error_code cancelled) {
      if (cancelled) return;
      if (preparer_) beat(*preparer_);
      for (const auto& asker : askers_) beat(*asker);
      beat();
    });
  }

  void beat(Asker& asker) {
    asker.heartbeat();
    if (asker.silence() > kSilence && failure_.ok())
      failure_ = Status(Code::unavailable, address_.to_string() + ": csnapd has said nothing for " +
                                               std::to_string(kSilence.count()) + " seconds");
  }

  bool over() const {
    return done_ == askers_.size() || (options_.requests > 0 && all_ >= options_.requests);
  }

  Status pass(double seconds) {
    // The timer's handler may run after this function: cancelled, or because its time came at the
    // end.
    const auto elapsed = std::make_shared<bool>(false);
    timer_.expires_after(
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds)));
    timer_.async_wait([elapsed](boost::system::error_code cancelled) { *elapsed = !cancelled; });
    const Status status = until([&] { return *elapsed || over(); });
    timer_.cancel();
    return status;
  }

  Status measure() {
    for (const auto& asker : askers_) asker->start();
    // With a number of requests, or places to be named once, all of it counts.
    const bool limited = options_.requests > 0 || options_.pattern == Pattern::once;
    if (!limited) CSNAP_TRY(pass(options_.warmup));
    if (options_.server_pid > 0) {
      CSNAP_ASSIGN(server_before_, cpu_of(options_.server_pid));
    }
    own_before_ = own_cpu();
    began_ = Clock::now();
    counting_ = began_measuring_ = true;
    if (maker_) maker_->start();
    CSNAP_TRY(pass(options_.seconds));
    conclude();
    if (result_.answers == 0)
      return Status(Code::unavailable,
                    "not one answer came in " + std::to_string(options_.seconds) + " seconds");
    CSNAP_TRY(stop_maker());
    for (const auto& asker : askers_) asker->stop();
    CSNAP_TRY(until([this] { return done_ == askers_.size(); }));
    for (const auto& asker : askers_) asker->leave();
    CSNAP_TRY(until([this] { return left_ == askers_.size(); }));
    heart_.cancel();
    return {};
  }

  // The time is over: what it came to.
  void conclude() {
    counting_ = false;
    result_.seconds = std::chrono::duration<double>(Clock::now() - began_).count();
    result_.exhausted = done_ == askers_.size();
    // Also moments in which nothing came.
    if (!options_.picture.empty())
      result_.moments.resize(static_cast<std::size_t>(std::ceil(result_.seconds / kMoment)));
    if (result_.answers == 0) return;
    const auto answers = static_cast<double>(result_.answers);
    if (options_.server_pid > 0) {
      // A server that is gone tells no more.
      if (const auto now = cpu_of(options_.server_pid); now.ok())
        result_.server_cpu_us = (*now - server_before_) / answers * 1e6;
    }
    result_.own_cpu_us = (own_cpu() - own_before_) / answers * 1e6;
    result_.rate = answers / result_.seconds;
    result_.chunk_rate = result_.rate * static_cast<double>(options_.range);
    for (LoadResult& load : result_.loads)
      load.rate = static_cast<double>(load.answers) / result_.seconds;
  }

  // It may be waiting for a barrier, in which the askers have to take part.
  Status stop_maker() {
    if (!maker_) return {};
    Status stopped;
    std::atomic<bool> done{false};
    std::thread waiter([&] {
      stopped = maker_->stop();
      done = true;
      boost::asio::post(io_, [] {});
    });
    // Whatever else went wrong: a creation that is under way ends, and its snapshot goes again.
    while (!done.load()) {
      io_.restart();
      io_.run_one();
    }
    const Status status = failure_;
    waiter.join();
    result_.snapshots = maker_->created();
    return status.ok() ? stopped : status;
  }

  const BenchOptions& options_;
  boost::asio::io_context io_{1};
  boost::asio::steady_timer timer_, heart_;
  boost::asio::signal_set signals_;
  Address address_;
  std::vector<std::unique_ptr<Places>> places_;
  Askers askers_;
  std::unique_ptr<Asker> preparer_;
  std::unique_ptr<SnapshotMaker> maker_;
  std::size_t ready_ = 0, done_ = 0, left_ = 0;
  Status failure_;
  bool counting_ = false, began_measuring_ = false;
  double server_before_ = 0, own_before_ = 0;  // seconds of CPU
  std::uint64_t all_ = 0;
  Clock::time_point began_;
  BenchResult result_;
};

}  // namespace

Result<BenchResult> run_bench(const BenchOptions& options) {
  return Bench(options).run();
}

}  // namespace csnap
