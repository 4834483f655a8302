// SPDX-License-Identifier: Apache-2.0
#include "tools/rmap/bad_sectors.h"

#include <algorithm>
#include <charconv>

namespace csnap {
namespace {

constexpr std::uint64_t kBlockBytes = 4096;

void add_hurt(const Placed& placed, const RmapGeometry& geometry, const ByteRange& bad,
              std::vector<Hurt>& out) {
  const bool data = placed.use == StoreUse::data;
  const std::uint64_t start = placed.block * kBlockBytes;
  const std::uint64_t end = start + (data ? placed.count * geometry.chunk_size : kBlockBytes);
  Hurt hurt;
  hurt.store = {std::max(bad.from, start), std::min(bad.to, end)};
  hurt.use = placed.use;
  hurt.mask = placed.mask;
  if (data) {
    hurt.volume = placed.chunk.value * geometry.chunk_size + (hurt.store.from - start);
    const std::uint64_t rest = geometry.volume_size - std::min(geometry.volume_size, hurt.volume);
    hurt.length = std::min(hurt.store.to - hurt.store.from, rest);
  } else {
    const std::uint64_t all = geometry.volume_size / geometry.chunk_size +
                              (geometry.volume_size % geometry.chunk_size != 0);
    const std::uint64_t last = std::min(all, placed.chunk.value + placed.count);
    hurt.chunks = {placed.chunk, last - std::min(last, placed.chunk.value)};
  }
  out.push_back(hurt);
}

// Parts that are hurt alike and lie side by side become one.
void join_hurt(std::vector<Hurt>& all) {
  std::sort(all.begin(), all.end(), [](const Hurt& a, const Hurt& b) {
    return std::pair(a.store.from, a.store.to) < std::pair(b.store.from, b.store.to);
  });
  std::size_t kept = 0;
  for (const Hurt& hurt : all) {
    Hurt* last = kept > 0 ? &all[kept - 1] : nullptr;
    const bool alike =
        last && last->use == hurt.use && last->mask == hurt.mask && last->chunks == hurt.chunks;
    if (alike && last->store == hurt.store && last->volume == hurt.volume) continue;
    if (alike && last->store.to == hurt.store.from &&
        (hurt.use != StoreUse::data || last->volume + last->length == hurt.volume)) {
      last->store.to = hurt.store.to;
      last->length += hurt.length;
      continue;
    }
    all[kept++] = hurt;
  }
  all.resize(kept);
}

// What the tree says nothing of, between `from` and `to`.
Status add_rest(RmapSource& source, const RmapGeometry& geometry, std::uint64_t from,
                std::uint64_t to, std::vector<Hurt>& out) {
  const std::uint64_t end = geometry.store_chunks * geometry.chunk_size;
  while (from < to) {
    Hurt hurt;
    if (from >= end) {
      hurt.store = {from, to};
      hurt.use = StoreUse::reserved;
    } else {
      CSNAP_ASSIGN(const StoreArea area, source.area_at(from / kBlockBytes));
      hurt.store = {from, std::min(to, area.end() * kBlockBytes)};
      hurt.use = area.use == StoreUse::used ? StoreUse::not_seen : area.use;
    }
    from = hurt.store.to;
    out.push_back(hurt);
  }
  return {};
}

}  // namespace

Result<std::vector<ByteRange>> read_bad_sectors(std::istream& in, std::uint64_t block_size,
                                                std::uint64_t size) {
  std::vector<ByteRange> bad;
  std::string text;
  for (std::uint64_t line = 1; std::getline(in, text); ++line) {
    const auto first = text.find_first_not_of(" \t\r");
    if (first == std::string::npos) continue;
    const auto last = text.find_last_not_of(" \t\r");
    std::uint64_t block = 0;
    const auto [end, error] = std::from_chars(text.data() + first, text.data() + last + 1, block);
    const std::string where = "line " + std::to_string(line) + ": ";
    if (error != std::errc() || end != text.data() + last + 1)
      return Status(Code::invalid, where + "this is not the number of a block");
    if (block >= size / block_size + (size % block_size != 0))
      return Status(Code::invalid, where + "block " + std::to_string(block) + " of " +
                                       std::to_string(block_size) +
                                       " bytes lies beyond the end of the store; was badblocks "
                                       "given another block size (-b), or another device?");
    bad.push_back({block * block_size, (block + 1) * block_size});
  }
  if (in.bad()) return Status(Code::io_error, "it cannot be read");
  std::sort(bad.begin(), bad.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.from < b.from; });
  std::size_t kept = 0;
  for (const ByteRange& range : bad) {
    if (kept > 0 && range.from <= bad[kept - 1].to)
      bad[kept - 1].to = std::max(bad[kept - 1].to, range.to);
    else
      bad[kept++] = range;
  }
  bad.resize(kept);
  return bad;
}

Result<std::vector<Hurt>> find_hurt(RmapSource& source, const RmapGeometry& geometry,
                                    const std::vector<ByteRange>& bad) {
  std::vector<Hurt> hurt;
  CSNAP_TRY(source.scan([&](const Placed& placed) {
    const std::uint64_t start = placed.block * kBlockBytes;
    const std::uint64_t end =
        start + (placed.use == StoreUse::data ? placed.count * geometry.chunk_size : kBlockBytes);
    auto range =
        std::upper_bound(bad.begin(), bad.end(), start,
                         [](std::uint64_t at, const ByteRange& each) { return at < each.to; });
    for (; range != bad.end() && range->from < end; ++range)
      add_hurt(placed, geometry, *range, hurt);
  }));
  join_hurt(hurt);
  std::vector<Hurt> rest;
  std::size_t next = 0;
  for (const ByteRange& range : bad) {
    std::uint64_t at = range.from;
    for (; next < hurt.size() && hurt[next].store.from < range.to; ++next) {
      CSNAP_TRY(add_rest(source, geometry, at, hurt[next].store.from, rest));
      at = std::max(at, hurt[next].store.to);
    }
    CSNAP_TRY(add_rest(source, geometry, at, range.to, rest));
  }
  hurt.insert(hurt.end(), rest.begin(), rest.end());
  join_hurt(hurt);
  return hurt;
}

}  // namespace csnap
