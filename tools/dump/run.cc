// SPDX-License-Identifier: Apache-2.0
#include "tools/dump/run.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "server/dump.h"
#include "server/pack.h"
#include "store/device_identity.h"
#include "store/open_device.h"
#include "store/pack_device.h"
#include "store/superblock.h"
#include "tools/common/output_file.h"
#include "tools/common/progress.h"

namespace csnap {
namespace {

struct Opened {
  DeviceLock lock;
  std::unique_ptr<Device> device;
};

// Locked, so that no server begins to change it meanwhile.
Result<Opened> open_locked(const std::string& path) {
  auto lock = lock_device(path);
  if (lock.status().code() == Code::busy)
    return Status(Code::busy, lock.status().message() +
                                  "; what a server has open is listed with: csnap-admin dump");
  if (!lock.ok()) return lock.status();
  CSNAP_ASSIGN(auto device, open_device(path, OpenMode::inspect));
  return Opened{std::move(*lock), std::move(device)};
}

// What is to be read: a store, locked, or a pack of one.
struct Sources {
  std::unique_ptr<Opened> store_lock, metadata_lock;
  std::unique_ptr<Device> pack_store, pack_metadata;
  bool is_pack() const { return pack_store != nullptr; }
  Device& store() const { return is_pack() ? *pack_store : *store_lock->device; }
  Device* metadata() const {
    return is_pack() ? pack_metadata.get() : metadata_lock ? metadata_lock->device.get() : nullptr;
  }
};

Result<Sources> open_sources(const DumpToolOptions& options) {
  Sources sources;
  CSNAP_ASSIGN(const bool pack, PackFile::is_pack(options.store));
  if (pack) {
    if (!options.metadata.empty())
      return Status(Code::invalid, options.store + " is a pack; it has all the metadata there is");
    if (options.pack) return Status(Code::invalid, options.store + " is a pack already");
    CSNAP_ASSIGN(const PackFile file, PackFile::open(options.store));
    sources.pack_store = file.store();
    sources.pack_metadata = file.metadata();
    return sources;
  }
  CSNAP_ASSIGN(Opened store, open_locked(options.store));
  sources.store_lock = std::make_unique<Opened>(std::move(store));
  if (options.metadata.empty()) return sources;
  CSNAP_ASSIGN(Opened metadata, open_locked(options.metadata));
  sources.metadata_lock = std::make_unique<Opened>(std::move(metadata));
  return sources;
}

Result<OutputFile> open_output(const DumpToolOptions& options, const Sources& sources) {
  OutputRules rules{{options.store}};
  if (!options.metadata.empty()) rules.inputs.push_back(options.metadata);
  if (const auto s = read_superblock(sources.metadata() ? *sources.metadata() : sources.store());
      s.ok())
    rules.origin_size = s->origin_size;
  return OutputFile::create(options.output, rules);
}

void say(std::uint64_t blocks, const char* what) {
  if (blocks > 0)
    std::fprintf(stderr, "csnap-dump: blocks that %s: %llu\n", what,
                 static_cast<unsigned long long>(blocks));
}

Status write_pack(const DumpToolOptions& options, const Sources& sources, OutputFile& output) {
  if (options.output.empty() && is_terminal(STDOUT_FILENO))
    return Status(Code::invalid, "a pack is not for a terminal; name a file with --output");
  Progress line("packing", options.progress || is_terminal(STDERR_FILENO));
  PackOptions pack;
  pack.progress = [&](std::uint64_t done, std::uint64_t total) {
    line.update(static_cast<double>(done) / static_cast<double>(total));
  };
  CSNAP_ASSIGN(const Packed packed,
               pack_store(sources.store(), sources.metadata(), pack,
                          [&](std::string_view bytes) { return output.write(bytes); }));
  line.clear();
  say(packed.unreadable, "could not be read and are not in the pack");
  say(packed.foreign, "should be metadata, hold something else and are not in the pack");
  say(packed.damaged, "are damaged and are in the pack as they are");
  return {};
}

}  // namespace

Status run_dump(const DumpToolOptions& options) {
  CSNAP_ASSIGN(const Sources sources, open_sources(options));
  CSNAP_ASSIGN(OutputFile output, open_output(options, sources));
  if (options.pack) {
    CSNAP_TRY(write_pack(options, sources, output));
    return output.finish();
  }
  DumpOptions dump;
  dump.has_data = !sources.is_pack();
  CSNAP_TRY(dump_store(sources.store(), sources.metadata(), dump, [&](std::string_view lines) {
              return output.write(lines);
            }).status());
  return output.finish();
}

}  // namespace csnap
