// SPDX-License-Identifier: Apache-2.0
// Taking a store over: check the devices, recover, raise the epoch, say so in the journal.
#include <utility>

#include "server/engine_impl.h"
#include "server/recovery.h"
#include "store/aligned_buffer.h"

namespace csnap {
namespace {

Status check_devices(const EngineDevices& devices, const Superblock& superblock) {
  if (superblock.separate_metadata != (devices.metadata != nullptr))
    return Status(Code::invalid,
                  superblock.separate_metadata
                      ? "the metadata of this store is on a device of its own; name it"
                      : "this store holds its own metadata; no metadata device belongs to it");
  if (devices.origin->size() != superblock.origin_size)
    return Status(Code::invalid, devices.origin->name() + " has " +
                                     std::to_string(devices.origin->size()) +
                                     " bytes; the store was made for an origin of " +
                                     std::to_string(superblock.origin_size));
  if (devices.store->size() < superblock.store_chunks() << superblock.chunk_shift)
    return Status(Code::invalid,
                  devices.store->name() + " is smaller than the store that was made on it");
  if (!superblock.separate_metadata) return {};
  AlignedBuffer label(kBlockSize);
  CSNAP_TRY(read_sync(*devices.store, kDataLabel.value * kBlockSize, label.span()));
  return check_data_label(label.span(), superblock.uuid)
      .with_context(devices.store->name() + " is not the data device of this store");
}

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

Result<std::unique_ptr<Engine>> Engine::open(EngineDevices devices, EngineOptions options,
                                             EngineEvents& events) {
  auto impl = std::make_unique<Impl>(std::move(devices), std::move(options), events);
  Device& metadata = impl->metadata_device();
  CSNAP_ASSIGN(const Superblock found, read_superblock(metadata));
  CSNAP_TRY(check_devices(impl->devices, found));
  if (const Status damage = check_superblock_copies(metadata); !damage.ok())
    events.log(EngineEvents::Level::warning,
               damage.message() + "; the other copy is used and this one written anew");
  CSNAP_ASSIGN(Recovered recovered,
               recover(*impl->devices.store, metadata, impl->options.cache_bytes));

  // The epoch goes up on disk before anything else: the homes and the tail stay as they are.
  Superblock raised = recovered.on_disk;
  raised.epoch = raised.epoch + 1;
  raised.clean = false;
  raised.holder = impl->options.holder.substr(0, kMaxHolder);
  CSNAP_TRY(write_superblock(metadata, raised));
  Superblock& live = recovered.state->superblock();
  live.epoch = raised.epoch;
  live.clean = false;
  live.holder = raised.holder;

  auto journal =
      std::make_unique<Journal>(metadata, JournalLayout{raised.journal, raised.journal_blocks},
                                raised.uuid, raised.epoch, raised.tail, recovered.head);
  CSNAP_TRY(announce(*journal, metadata, *impl->devices.store, raised.epoch));
  if (!recovered.on_disk.clean && recovered.commits > 0)
    events.log(EngineEvents::Level::info, "the store was not closed in order; replayed " +
                                              std::to_string(recovered.records) + " records of " +
                                              std::to_string(recovered.commits) + " commits");
  if (const std::size_t sessions = recovered.state->clients().all().size(); sessions > 0)
    events.log(EngineEvents::Level::info,
               "sessions known from before the restart: " + std::to_string(sessions) +
                   "; writes that could get in their way wait until they are back or their leases "
                   "are over");
  impl->start(std::move(recovered.state), std::move(journal), std::move(recovered.freed));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

}  // namespace csnap
