// SPDX-License-Identifier: Apache-2.0
// Taking a store over: check the devices, recover, raise the epoch, say so in the journal.
#include <utility>

#include "server/engine_impl.h"
#include "server/recovery.h"
#include "server/take_over.h"
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

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(EngineDevices devices, EngineOptions options,
                                             EngineEvents& events) {
  auto impl = std::make_unique<Impl>(std::move(devices), std::move(options), events);
  Device& metadata = impl->metadata_device();
  CSNAP_ASSIGN(const Superblock found, read_superblock(metadata));
  CSNAP_TRY(refuse_copy(found, metadata));
  CSNAP_TRY(check_devices(impl->devices, found));
  if (found.repairing)
    return Status(Code::corrupt, metadata.name() +
                                     ": a repair or restore of this store was begun and not "
                                     "finished; run csnap-check --repair, or csnap-restore again");
  if (const Status damage = check_superblock_copies(metadata); !damage.ok())
    events.log(EngineEvents::Level::warning,
               damage.message() + "; the other copy is used and this one written anew");
  const auto clock_us = [&] { return impl->options.clock_us ? impl->options.clock_us() : 0; };
  const std::uint64_t began_us = clock_us();
  CSNAP_ASSIGN(Recovered recovered, recover(*impl->devices.store, metadata,
                                            impl->options.cache_bytes, Images::write_home));
  const std::uint64_t took_us = clock_us() - began_us;
  CSNAP_ASSIGN(auto journal,
               take_over(*impl->devices.store, metadata, recovered, impl->options.holder, false));
  if (!recovered.on_disk.clean && recovered.commits > 0)
    events.log(EngineEvents::Level::info, "the store was not closed in order; replayed " +
                                              std::to_string(recovered.records) + " records of " +
                                              std::to_string(recovered.commits) + " commits in " +
                                              std::to_string(took_us / 1000) + " ms");
  if (const std::size_t sessions = recovered.state->clients().all().size(); sessions > 0)
    events.log(EngineEvents::Level::info,
               "sessions known from before the restart: " + std::to_string(sessions) +
                   "; writes that could get in their way wait until they are back or their leases "
                   "are over");
  impl->start(std::move(recovered.state), std::move(journal), std::move(recovered.freed));
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

}  // namespace csnap
