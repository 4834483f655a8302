// SPDX-License-Identifier: Apache-2.0
#include "server/take_over.h"

#include <utility>
#include <vector>

namespace csnap {
namespace {

// Writes the first record of this reign, over whatever a crash left at the head.
Status announce(Journal& journal, Device& metadata, Epoch epoch) {
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
  // Commits may have been found whole without ever having been flushed (their server was killed,
  // not the power): from now on they are those of an earlier epoch, and must be safe, data and all.
  CSNAP_TRY(flush_sync(store));
  if (&metadata != &store) CSNAP_TRY(flush_sync(metadata));
  // The epoch goes up on disk before anything else: the homes and the tail stay as they are.
  Superblock raised = recovered.on_disk;
  raised.epoch = raised.epoch + 1;
  raised.reign = recovered.head.sequence;
  raised.clean = false;
  raised.repairing = repairing;
  raised.holder = holder.substr(0, kMaxHolder);
  CSNAP_TRY(write_superblock(metadata, raised));
  Superblock& live = recovered.state->superblock();
  live.epoch = raised.epoch;
  live.reign = raised.reign;
  live.clean = false;
  live.repairing = repairing;
  live.holder = raised.holder;

  auto journal =
      std::make_unique<Journal>(metadata, JournalLayout{raised.journal, raised.journal_blocks},
                                raised.uuid, raised.epoch, raised.tail, recovered.head);
  CSNAP_TRY(announce(*journal, metadata, raised.epoch));
  return journal;
}

}  // namespace csnap
