// SPDX-License-Identifier: Apache-2.0
// Creating snapshots. Every client of the origin finishes its writes and forgets what it knew to be
// unique; until the snapshot is durable, no origin write is granted. Creations that come while
// clients are being waited for share their barrier and have one point in time.
// Threading: the engine's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "server/engine.h"

namespace csnap {

class Barrier {
 public:
  explicit Barrier(Engine::Impl& engine) : engine_(engine) {}

  void create(const std::string& name, std::optional<Uuid> receiver, Engine::SnapshotDone done);
  // No origin write may be granted.
  bool active() const { return phase_ != Phase::none; }
  // resume runs when the barrier is over. REQUIRES: active().
  void wait(std::function<void()> resume) { waiters_.push_back(std::move(resume)); }

  void done(ClientKey client, std::uint64_t barrier);
  // A session from before the restart is back, in the middle of a barrier perhaps.
  void client_back(ClientKey client);
  void client_gone(ClientKey client);
  // An absent session was settled or forgotten.
  void reconsider();
  void stop(const Status& why);

 private:
  enum class Phase : std::uint8_t { none, draining, committing };
  struct Creation {
    std::string name;
    std::optional<Uuid> receiver;
    Engine::SnapshotDone done;
  };

  void start();
  Status build(const Creation& creation, SnapshotId& id, std::vector<Record>& records);
  void commit();
  void committed(const Creation& creation, SnapshotId id, const Status& status);
  void finish();

  Engine::Impl& engine_;
  Phase phase_ = Phase::none;
  std::uint64_t id_ = 0;
  std::set<ClientKey> owing_;  // told, and not done
  std::set<ClientKey> told_;
  std::vector<Creation> creations_;
  std::uint64_t committing_ = 0;
  std::vector<std::function<void()>> waiters_;
};

}  // namespace csnap
