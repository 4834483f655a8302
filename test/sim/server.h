// SPDX-License-Identifier: Apache-2.0
// The simulated server machine: the real engine and session layer, driven by events.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/engine.h"
#include "server/service.h"
#include "test/sim/network.h"

namespace csnap::sim {

class World;

class Server : public Endpoint, private Transport {
 public:
  explicit Server(World& world) : world_(world) {}
  ~Server() override;

  // Blocks in simulated terms: recovery takes no time. On failure it is not up.
  Status start(std::uint64_t incarnation);
  bool up() const { return engine_ != nullptr; }
  // Drains, closes the engine, says goodbye.
  Status stop();
  // It dies now; a doomed one dies at the end of its turn.
  void kill();
  void doom(bool power_cut);
  bool doomed() const { return doomed_; }
  bool doomed_by_power() const { return doomed_by_power_; }
  bool disk_dead() const;
  void pause(Micros time);
  Engine& engine() { return *engine_; }

  void link_opened(LinkId link) override;
  void link_bytes(LinkId link, std::vector<std::byte> bytes) override;
  void link_closed(LinkId link) override;

 private:
  struct Arrived {
    enum class What : std::uint8_t { opened, bytes, closed } what;
    LinkId link;
    std::vector<std::byte> bytes;
  };
  void wants_write(ConnectionId connection) override;
  void close(ConnectionId connection, OutputBuffer last) override;
  Status takes_stream() override { return {Code::unsupported, "no streams here"}; }
  void hand_over(ConnectionId, OutputBuffer, StreamRequest) override {}
  void pause_read(ConnectionId connection) override;
  void resume_read(ConnectionId connection) override;

  std::unique_ptr<Device> port(Disk& disk);
  void on_io(const DiskPort& at, const IoRequest& request, bool submitted);
  void watch_checkpoint(const DiskPort& at, const IoRequest& request);
  void arrive(Arrived what);
  void take_in();
  void send_all();
  void wake(Micros when);
  void turn();

  World& world_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Engine> engine_;
  std::vector<DiskPort*> ports_;
  std::deque<Arrived> inbox_;
  std::set<LinkId> paused_links_, to_write_;
  std::vector<std::pair<LinkId, OutputBuffer>> to_close_;
  Micros wake_at_ = 0;  // 0: not set
  std::uint64_t wakes_ = 0;
  Micros paused_until_ = 0;
  bool starting_ = false;
  bool doomed_ = false, doomed_by_power_ = false;
  bool checkpointing_ = false;
};

}  // namespace csnap::sim
