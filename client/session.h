// SPDX-License-Identifier: Apache-2.0
// A session on a volume: the thread that runs the mapper, keeps a connection, and connects again
// when it is lost. What callers ask for is handed to that thread; they wait for the outcome.
//
// Threading: operations from any thread, they block. Destroy when no operation is under way.
// Ownership: the VolumeState belongs to the caller and outlives the session.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "client/link.h"
#include "client/mapper.h"
#include "client/volume_state.h"
#include "proto/address.h"

namespace csnap {

struct SessionOptions {
  std::vector<Address> addresses;  // tried in this order
  MapperOptions mapper;
  std::chrono::milliseconds open_timeout{5000};  // 0: one attempt at each address
  std::chrono::milliseconds give_up_after{0};    // 0: never
};

class VolumeSession : private MapperHost {
 public:
  VolumeSession(SessionOptions options, VolumeState& state);
  ~VolumeSession() override;

  // Waits until the session is open. Once.
  Result<SessionInfo> open();

  Status unique(std::vector<ChunkRun> ranges);
  Result<ReadMapping> snapshot_read(std::vector<ChunkRun> ranges);
  void finish_read(std::uint64_t handle);  // does not wait
  Result<WriteMapping> snapshot_write(std::vector<ChunkRun> ranges, Mapper::WriteKind kind);
  Status finish_write(std::uint64_t handle, std::vector<FinishedRun> runs);
  void abandon_write(std::uint64_t handle);  // does not wait

  // Who makes copies, called on the session's thread; it answers with copied(). Nobody at first;
  // withdraw_copies() returns when it is not called any more.
  void offer_copies(std::function<void(const CopyTask&)> copier);
  void withdraw_copies();
  void copied(std::uint64_t id, Result<std::vector<std::uint32_t>> crcs);  // does not wait

 private:
  // MapperHost
  void opened(const SessionInfo& info) override;
  void standing(const Standing& now) override;
  void granted(std::span<const ChunkRun> unique) override;
  void learned(ChunkRun chunks, StoreChunk store, bool rewritable,
               std::span<const std::uint32_t> crcs) override;
  void drain() override;
  void forget(bool unique, bool places) override;
  void reopen() override;
  void gone(const Status& why) override;
  void hang_up(const Status& why) override;
  void handover(const std::vector<std::string>& addresses, std::uint64_t retry_ms) override;
  void copy(const CopyTask& task) override;

  // All on the session's thread.
  template <class F>
  void post(F f);
  template <class R, class F>
  R ask(F f);
  void connect();
  void connected();
  void lost(const Status& why);
  void after_event();
  void set_timer();
  void on_timer();
  bool attempt_over();
  void say_goodbye();
  void stop();
  std::chrono::milliseconds backoff() const;

  SessionOptions options_;
  VolumeState& state_;
  std::promise<Result<SessionInfo>> open_promise_;
  bool open_answered_ = false;

  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer timer_;
  boost::asio::steady_timer retry_timer_;
  boost::asio::steady_timer goodbye_timer_;
  Mapper mapper_;
  std::function<void(const CopyTask&)> copier_;
  std::shared_ptr<Link> link_;  // null: none
  bool link_open_ = false;
  Status hang_up_;  // not ok: close the link when the event at hand is over
  std::vector<Address> addresses_;
  std::size_t next_address_ = 0;
  unsigned attempts_ = 0;  // since the last one that succeeded
  std::chrono::milliseconds wait_at_least_{0};
  std::uint64_t alone_since_ms_ = 0;
  unsigned gates_draining_ = 0;
  std::uint64_t timer_at_ms_ = 0;  // 0: not set
  bool stopping_ = false;
  std::thread thread_;  // last: everything it uses is there
};

}  // namespace csnap
