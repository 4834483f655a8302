// SPDX-License-Identifier: Apache-2.0
// Packs that say anything: opened, read, and checked as a store is. What is read of them has the
// length that was asked for, and nothing is read beyond the file.
//   u8   1: header, index and trailer get the checksums that belong to them
//   The file.
#include <cstring>
#include <string>
#include <vector>

#include "server/check.h"
#include "server/dump.h"
#include "store/crc.h"
#include "store/pack_device.h"
#include "store/pack_format.h"
#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

std::uint32_t crc_of(const std::byte* bytes, std::size_t size) {
  return crc32c({bytes, size});
}

void seal(std::vector<std::byte>& file) {
  if (file.size() < sizeof(PackHeader) + sizeof(PackTrailer)) return;
  auto* header = reinterpret_cast<PackHeader*>(file.data());
  header->crc.set(crc_of(file.data(), offsetof(PackHeader, crc)));
  const std::size_t end = file.size() - sizeof(PackTrailer);
  auto* trailer = reinterpret_cast<PackTrailer*>(file.data() + end);
  const std::uint64_t index = trailer->index.get();
  if (index <= end) trailer->index_crc.set(crc_of(file.data() + index, end - index));
  trailer->crc.set(crc_of(file.data() + end, offsetof(PackTrailer, crc)));
}

}  // namespace

FUZZ_TARGET(pack) {
  const unsigned flags = input.u8();
  const auto bytes = input.rest();
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  if ((flags & 1) != 0) seal(file);
  const auto read = [&](std::uint64_t offset, std::span<std::byte> data) -> Status {
    fuzz::require(offset <= file.size() && data.size() <= file.size() - offset,
                  "reading within the file");
    std::memcpy(data.data(), file.data() + offset, data.size());
    return {};
  };
  const auto pack = PackFile::open(read, file.size(), "a pack");
  if (!pack.ok()) return;
  const auto store = pack->store(), metadata = pack->metadata();
  std::vector<std::byte> block(kBlockSize);
  for (Device* device : {store.get(), metadata.get()})
    for (std::uint64_t b = 0; device && b < 600; ++b)
      (void)read_sync(*device, b * kBlockSize, block);
  CheckOptions check;
  check.has_data = false;
  check.cache_bytes = 1u << 20;
  (void)check_store(*store, metadata.get(), check);
  DumpOptions dump;
  dump.has_data = false;
  dump.cache_bytes = 1u << 20;
  (void)dump_store(*store, metadata.get(), dump, [](std::string_view) { return Status(); });
}
