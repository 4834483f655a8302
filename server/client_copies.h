// SPDX-License-Identifier: Apache-2.0
// Copies that clients make: of the chunks that their own requests change, so that no data passes
// through the server's host. A client that offers it is told what to copy to which place of its
// pool, and reports checksums; the exception is committed with that place as if the data had been
// copied here. The pool is durable: after a crash of the server the client may still be writing
// there, and nobody else must get those chunks before it is back or its lease is over.
//
// Whatever goes wrong, the job goes to the Copier at once: the client reports an error or nonsense,
// its connection is lost, it does not answer for too long, there is no room for its pool, or it has
// enough to do. The place that it was told stays its own until it reports after all, says that it
// has nothing in flight there, or its session ends. A client that lets a copy lie for too long, or
// fails several times in a row, is not asked again until it offers again.
// Threading: the engine's thread. Jobs' done() runs from done().
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "server/client_state.h"
#include "server/copier.h"
#include "server/engine.h"

namespace csnap {

class ClientCopies {
 public:
  explicit ClientCopies(Engine::Impl& engine);

  // -- sessions --------------------------------------------------------------------------------
  // See Engine::offer_copies() and withdraw_copies().
  void offer(ClientState& c, std::span<const CopyId> under_way);
  void withdraw(ClientState& c);
  // The session is over, its pools with it.
  void forget(ClientState& c);

  // -- copies ----------------------------------------------------------------------------------
  // Whether to come here with a job for a request of this client.
  bool wanted_of(ClientKey client) const;
  // For the client's own request. REQUIRES: !job.verify_only.
  void add(ClientKey client, CopyJob job) { wanted_[client].push_back(std::move(job)); }
  // Places what was added and tells the clients. Once a turn, before Copier::start().
  void start();
  // See Engine::copied().
  Status done(ClientState& c, CopyId id, Result<std::vector<std::uint32_t>> crcs);
  // Does what has not been reported for that long.
  void take_back(std::uint64_t patience_ms);
  // No client is asked or waited for any more: does what there is.
  void stop();
  std::uint64_t copied_chunks() const { return copied_chunks_; }

 private:
  struct Copy {
    ClientKey client = 0;
    CopyOrder order;
    std::vector<CopyJob> jobs;  // in order; none: done here, only the place is still out
    std::uint64_t asked_ms = 0;
  };

  void start_for(ClientState& c, std::vector<CopyJob>& jobs);
  Status ask(ClientState& c, std::vector<CopyJob>& jobs, std::size_t& first);
  Status wait_for_room(ClientState& c, std::vector<CopyJob>& jobs, std::size_t& first);
  void wait_for_block(ClientKey key, const Status& miss, std::vector<CopyJob> jobs);
  Result<std::vector<std::uint32_t>> checksums(const CopyJob& job, std::uint64_t count) const;
  void copy_here(std::vector<CopyJob>& jobs);
  void give_up_on(ClientState& c, const std::string& why);
  static bool agree(const CopyOrder& order, std::vector<std::uint32_t>& crcs);
  void finish(Copy& copy, const std::vector<std::uint32_t>& crcs);

  Engine::Impl& engine_;
  std::map<ClientKey, std::vector<CopyJob>> wanted_;
  std::map<CopyId, Copy> copies_;  // told and not ended
  CopyId next_id_;
  std::uint64_t copied_chunks_ = 0;
};

}  // namespace csnap
