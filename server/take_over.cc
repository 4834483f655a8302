// SPDX-License-Identifier: Apache-2.0
#include "server/take_over.h"

#include <utility>
#include <vector>

namespace csnap {
namespace {

// Writes the first record of this reign, over whatever a crash left at the head.
// The commit before it may have been found whole without ever having been flushed (its server was
// killed, not the power): from now on it is not the last one, and its data must be as safe as it
// is.
Status announce(Journal& journal, Device& metadata, Device& store, Epoch epoch) {
  CSNAP_TRY(flush_sync(store));
  std::vector<std::byte> records;
  encode_record(ServerStarted{epoch}, records);
  CommitContent content;
  content.records = records;
  Status outcome;
  bool written = false;
  journal.append(content, {}, [&](Status status) {
    outcome = std::move(status);
    written = true;
  });
  while (!written) metadata.wait();
  return outcome;
}

}  // namespace

Result<std::unique_ptr<Journal>> take_over(Device& store, Device& metadata, Recovered& recovered,
                                           const std::string& holder, bool repairing) {
  // The epoch goes up on disk before anything else: the homes and the tail stay as they are.
  Superblock raised = recovered.on_disk;
  raised.epoch = raised.epoch + 1;
  raised.clean = false;
  raised.repairing = repairing;
  raised.holder = holder.substr(0, kMaxHolder);
  CSNAP_TRY(write_superblock(metadata, raised));
  Superblock& live = recovered.state->superblock();
  live.epoch = raised.epoch;
  live.clean = false;
  live.repairing = repairing;
  live.holder = raised.holder;

  auto journal =
      std::make_unique<Journal>(metadata, JournalLayout{raised.journal, raised.journal_blocks},
                                raised.uuid, raised.epoch, raised.tail, recovered.head);
  CSNAP_TRY(announce(*journal, metadata, store, raised.epoch));
  return journal;
}

}  // namespace csnap
