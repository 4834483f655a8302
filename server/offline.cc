// SPDX-License-Identifier: Apache-2.0
#include "server/offline.h"

#include <algorithm>
#include <utility>

#include "server/take_over.h"

namespace csnap {

OfflineStore::OfflineStore(Device& store, Device& metadata, Recovered recovered)
    : store_(store), metadata_(metadata), recovered_(std::move(recovered)) {}

OfflineStore::~OfflineStore() {
  // Buffers of the I/O in flight are ours: it has to end first.
  for (Device* device : {&store_, &metadata_})
    while (device->in_flight() > 0) device->wait();
}

Result<std::unique_ptr<OfflineStore>> OfflineStore::open(Device& store, Device* metadata,
                                                         std::size_t cache_bytes,
                                                         const std::string& holder) {
  CSNAP_ASSIGN(auto recovered, recover(store, metadata ? *metadata : store, cache_bytes));
  return adopt(store, metadata, std::move(recovered), holder);
}

Result<std::unique_ptr<OfflineStore>> OfflineStore::adopt(Device& store, Device* metadata,
                                                          Recovered recovered,
                                                          const std::string& holder) {
  CSNAP_TRY(refuse_copy(recovered.on_disk, metadata ? *metadata : store));
  std::unique_ptr<OfflineStore> self(
      new OfflineStore(store, metadata ? *metadata : store, std::move(recovered)));
  CSNAP_ASSIGN(self->journal_, take_over(store, self->metadata_, self->recovered_, holder, true));
  self->committer_ =
      std::make_unique<Committer>(self->state(), self->metadata_, *self->journal_,
                                  std::vector<Device*>(), [](const std::vector<StoreRun>&) {});
  // What an interrupted repair freed before its last checkpoint is free by now.
  CSNAP_TRY(self->checkpoint());
  return self;
}

Status OfflineStore::checkpoint_if_due() {
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
  state().superblock().repairing = false;
  const Status status = committer_->checkpointer().write_clean();
  if (!status.ok()) state().superblock().repairing = true;
  return status;
}

}  // namespace csnap
