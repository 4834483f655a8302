// SPDX-License-Identifier: Apache-2.0
#include "server/offline.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "server/take_over.h"
#include "store/aligned_buffer.h"

namespace csnap {

namespace {

constexpr std::size_t kHomesAtOnce = 256;  // blocks of one write

// The blocks, frozen, which are neighbours.
Status write_neighbours(StoreState& state, Device& metadata, std::span<const BlockAddress> blocks) {
  AlignedBuffer buffer(blocks.size() * kBlockSize);
  for (std::size_t i = 0; i < blocks.size(); ++i)
    std::memcpy(buffer.span().data() + i * kBlockSize, state.cache().frozen_block(blocks[i]).data(),
                kBlockSize);
  return write_sync(metadata, blocks.front().value * kBlockSize, buffer.span());
}

}  // namespace

Status write_homes(StoreState& state, Device& metadata) {
  CSNAP_TRY(state.with_blocks([&] { return state.store_tables(); }));
  const auto freed = state.metadata().take_freed_blocks();
  const auto blocks = state.cache().freeze(state.superblock().checkpoint);
  Status status;
  for (std::size_t from = 0, to = 0; from < blocks.size() && status.ok(); from = to) {
    for (to = from + 1; to < blocks.size() && to - from < kHomesAtOnce &&
                        blocks[to] == blocks[from] + (to - from);)
      ++to;
    status = write_neighbours(state, metadata, std::span(blocks).subspan(from, to - from));
  }
  if (status.ok()) status = flush_sync(metadata);
  state.cache().thaw();
  if (!status.ok()) return status.with_context("writing metadata home");
  state.metadata().release_freed_blocks(freed);
  state.cache().trim();
  return {};
}

OfflineStore::OfflineStore(Device& store, Device& metadata, Recovered recovered)
    : store_(store), metadata_(metadata), recovered_(std::move(recovered)) {}

OfflineStore::~OfflineStore() {
  // Buffers of the I/O in flight are ours: it has to end first.
  for (Device* device : {&store_, &metadata_})
    while (device->in_flight() > 0) device->wait();
}

Result<std::unique_ptr<OfflineStore>> OfflineStore::open(Device& store, Device* metadata,
                                                         std::size_t cache_bytes,
                                                         const std::string& holder,
                                                         Through through) {
  CSNAP_ASSIGN(auto recovered, recover(store, metadata ? *metadata : store, cache_bytes));
  return adopt(store, metadata, std::move(recovered), holder, through);
}

Result<std::unique_ptr<OfflineStore>> OfflineStore::adopt(Device& store, Device* metadata,
                                                          Recovered recovered,
                                                          const std::string& holder,
                                                          Through through) {
  CSNAP_TRY(refuse_copy(recovered.on_disk, metadata ? *metadata : store));
  std::unique_ptr<OfflineStore> self(
      new OfflineStore(store, metadata ? *metadata : store, std::move(recovered)));
  if (through == Through::homes) {
    CSNAP_TRY(self->take_without_journal(holder));
    return self;
  }
  CSNAP_TRY(self->begin_journal(holder));
  return self;
}

Status OfflineStore::take_without_journal(const std::string& holder) {
  holder_ = holder;
  Superblock marked = recovered_.on_disk;
  marked.clean = false;
  marked.repairing = true;
  marked.holder = holder.substr(0, kMaxHolder);
  state().superblock().repairing = true;
  return write_superblock(metadata_, marked);
}

// From now on a crash leaves what is there now. The journal has a copy of the superblock then.
Status OfflineStore::begin_journal(const std::string& holder) {
  CSNAP_ASSIGN(journal_, take_over(store_, metadata_, recovered_, holder, true));
  committer_ = std::make_unique<Committer>(
      state(), metadata_, *journal_, std::vector<Device*>(), [](const std::vector<StoreRun>&) {},
      nullptr);
  // What an interrupted repair freed before its last checkpoint is free by now.
  return checkpoint();
}

Status OfflineStore::checkpoint_if_due() {
  if (!journal_) {
    if (state().cache().dirty() + kEditBlocks >= state().cache().dirty_limit()) return checkpoint();
    state().cache().trim();
    return {};
  }
  // The images of one checkpoint stay in the journal until those of the next are there too.
  const std::uint64_t most =
      std::min<std::uint64_t>(state().cache().dirty_limit(), journal_->capacity() / 3);
  if (state().cache().dirty() + kEditBlocks < most) {
    state().cache().trim();
    return {};
  }
  return checkpoint();
}

Status OfflineStore::checkpoint() {
  if (!journal_) return write_homes(state(), metadata_);
  committer_->request_checkpoint();
  for (;;) {
    committer_->pump();
    if (!committer_->failure().ok()) return committer_->failure();
    if (metadata_.in_flight() > 0)
      metadata_.wait();
    else if (committer_->idle())
      break;
  }
  state().cache().trim();
  return {};
}

Status OfflineStore::finish() {
  CSNAP_TRY(flush_sync(store_));
  CSNAP_TRY(checkpoint());
  if (!journal_) {
    state().superblock().tail = recovered_.head;
    recovered_.on_disk = state().superblock();
    CSNAP_TRY(begin_journal(holder_));
  }
  state().superblock().repairing = false;
  const Status status = committer_->checkpointer().write_clean();
  if (!status.ok()) state().superblock().repairing = true;
  return status;
}

}  // namespace csnap
