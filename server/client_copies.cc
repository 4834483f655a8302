// SPDX-License-Identifier: Apache-2.0
#include "server/client_copies.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "server/engine_impl.h"
#include "store/crc.h"

namespace csnap {
namespace {

constexpr std::size_t kMaxUnanswered = 64;  // of a session
constexpr unsigned kMaxFailures = 8;        // in a row

std::vector<CopyJob> take_from(std::vector<CopyJob>& jobs, std::size_t& first) {
  std::vector<CopyJob> rest(std::make_move_iterator(jobs.begin() + static_cast<long>(first)),
                            std::make_move_iterator(jobs.end()));
  first = jobs.size();
  return rest;
}

}  // namespace

// Like the ids of reads: no server before this one gave them.
ClientCopies::ClientCopies(Engine::Impl& engine)
    : engine_(engine), next_id_((engine.state->superblock().epoch.value << 32) + 1) {}

void ClientCopies::offer(ClientState& c, std::span<const CopyId> under_way) {
  c.copies_offered = true;
  c.copies_failed = 0;
  for (const CopyId id : std::exchange(c.copies, {})) {
    const auto copy = copies_.find(id);
    if (std::ranges::find(under_way, id) != under_way.end()) {
      c.copies.insert(id);
      continue;
    }
    // Its report was lost with the connection.
    copy_here(copy->second.jobs);
    engine_.finish_in_pool(c, copy->second.order.to);
    copies_.erase(copy);
  }
}

void ClientCopies::withdraw(ClientState& c) {
  c.copies_offered = false;
  for (const CopyId id : c.copies) copy_here(copies_.at(id).jobs);
}

void ClientCopies::forget(ClientState& c) {
  withdraw(c);
  for (const CopyId id : std::exchange(c.copies, {})) copies_.erase(id);
}

void ClientCopies::copy_here(std::vector<CopyJob>& jobs) {
  for (auto& job : jobs) engine_.copier->add(std::move(job));
  jobs.clear();
}

void ClientCopies::give_up_on(ClientState& c, const std::string& why) {
  if (!std::exchange(c.copies_offered, false)) return;
  engine_.log(EngineEvents::Level::warning,
              "session " + c.id.to_string() + " is not asked for copies any more: " + why);
}

bool ClientCopies::wanted_of(ClientKey client) const {
  const ClientState* c = engine_.client(client);
  return c != nullptr && c->copies_offered && !engine_.stopping;
}

void ClientCopies::start() {
  for (auto& [key, jobs] : std::exchange(wanted_, {})) {
    if (wanted_of(key))
      start_for(*engine_.client(key), jobs);
    else
      copy_here(jobs);
  }
}

void ClientCopies::start_for(ClientState& c, std::vector<CopyJob>& jobs) {
  std::stable_sort(jobs.begin(), jobs.end(), copied_in_order);
  std::size_t first = 0;
  while (first < jobs.size() && c.copies.size() < kMaxUnanswered)
    if (!ask(c, jobs, first).ok()) break;
  auto left = take_from(jobs, first);
  copy_here(left);
}

// Makes one copy of the jobs from `first` on, or puts them off. Not ok: no client can do them now.
Status ClientCopies::ask(ClientState& c, std::vector<CopyJob>& jobs, std::size_t& first) {
  const std::uint64_t wanted = engine_.copier->chunks_together(jobs, first);
  auto crcs = checksums(jobs[first], wanted);
  if (crcs.status().code() == Code::need_block) {
    wait_for_block(c.key, crcs.status(), take_from(jobs, first));
    return {};
  }
  CSNAP_TRY(crcs.status());
  const StoreRun to = engine_.take_from_pool(c, wanted);
  if (to.count == 0) return wait_for_room(c, jobs, first);

  Copy copy;
  copy.client = c.key;
  copy.order = {next_id_++, jobs[first].from_origin, source_of(jobs[first]), to,
                std::move(crcs).value()};
  if (!copy.order.crcs.empty()) copy.order.crcs.resize(to.count);
  copy.jobs = take_jobs(jobs, first, to.count);
  copy.asked_ms = engine_.now_ms;
  c.copies.insert(copy.order.id);
  engine_.events.copy(c.key, copy.order);
  copies_.emplace(copy.order.id, std::move(copy));
  return {};
}

Result<std::vector<std::uint32_t>> ClientCopies::checksums(const CopyJob& job,
                                                           std::uint64_t count) const {
  std::vector<std::uint32_t> crcs;
  if (job.from_origin) return crcs;
  for (std::uint64_t i = 0; i < count; ++i) {
    CSNAP_ASSIGN(const std::uint32_t crc, engine_.state->checksums().get(job.from + i));
    crcs.push_back(crc);
  }
  return crcs;
}

Status ClientCopies::wait_for_room(ClientState& c, std::vector<CopyJob>& jobs, std::size_t& first) {
  std::uint64_t chunks = 0;
  for (std::size_t i = first; i < jobs.size(); ++i) chunks += jobs[i].chunks.count;
  const auto waiting = std::make_shared<std::vector<CopyJob>>();
  const Status growing = engine_.grow_pool(
      c,
      [this, key = c.key, waiting] {
        for (auto& job : *waiting) add(key, std::move(job));
      },
      chunks);
  if (growing.code() == Code::need_block) {
    wait_for_block(c.key, growing, take_from(jobs, first));
    return {};
  }
  if (growing.ok()) *waiting = take_from(jobs, first);
  return growing;
}

void ClientCopies::wait_for_block(ClientKey key, const Status& miss, std::vector<CopyJob> jobs) {
  const auto waiting = std::make_shared<std::vector<CopyJob>>(std::move(jobs));
  engine_.state->cache().fetch(BlockAddress(miss.detail()), [this, key, waiting](const Status& s) {
    // Why it cannot be read is the copier's to find out and to answer.
    if (!s.ok()) return copy_here(*waiting);
    for (auto& job : *waiting) add(key, std::move(job));
  });
}

Status ClientCopies::done(ClientState& c, CopyId id, Result<std::vector<std::uint32_t>> crcs) {
  const auto found = copies_.find(id);
  if (found == copies_.end() || found->second.client != c.key) return {};
  if (crcs.ok() && crcs->size() != found->second.order.to.count) {
    // Who knows what it is doing there: the place stays out.
    copy_here(found->second.jobs);
    return Status(Code::invalid, "a copy of " + std::to_string(found->second.order.to.count) +
                                     " chunks was reported with " + std::to_string(crcs->size()) +
                                     " checksums");
  }
  Copy copy = std::move(found->second);
  copies_.erase(found);
  c.copies.erase(id);
  if (!copy.jobs.empty() && crcs.ok() && agree(copy.order, *crcs)) {
    c.copies_failed = 0;
    finish(copy, *crcs);
    return {};
  }
  if (!crcs.ok() && ++c.copies_failed >= kMaxFailures)
    give_up_on(c, "it could not make them: " + crcs.status().to_string());
  copy_here(copy.jobs);
  engine_.finish_in_pool(c, copy.order.to);
  return {};
}

// A copy of a damaged chunk must not come out with a fresh, valid checksum.
bool ClientCopies::agree(const CopyOrder& order, std::vector<std::uint32_t>& crcs) {
  for (auto& crc : crcs) crc = stored_checksum(crc);
  for (std::size_t i = 0; i < order.crcs.size(); ++i)
    if (order.crcs[i] != 0 && order.crcs[i] != crcs[i]) return false;
  return true;
}

void ClientCopies::finish(Copy& copy, const std::vector<std::uint32_t>& crcs) {
  const StoreRun to = copy.order.to;
  copied_chunks_ += to.count;
  std::uint64_t at = 0;
  for (auto& job : copy.jobs) {
    const std::uint64_t count = job.chunks.count;
    const auto from = crcs.begin() + static_cast<long>(at);
    job.done(Copied{{to.start + at, count}, {from, from + static_cast<long>(count)}, copy.client});
    at += count;
  }
}

void ClientCopies::take_back(std::uint64_t patience_ms) {
  for (auto& [id, copy] : copies_) {
    if (engine_.now_ms - copy.asked_ms <= patience_ms) return;
    if (copy.jobs.empty()) continue;
    copy_here(copy.jobs);
    if (ClientState* c = engine_.client(copy.client))
      give_up_on(*c, "it has not reported one for " + std::to_string(patience_ms) + " ms");
  }
}

void ClientCopies::stop() {
  for (auto& [id, copy] : copies_) copy_here(copy.jobs);
}

}  // namespace csnap
