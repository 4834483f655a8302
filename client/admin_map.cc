// SPDX-License-Identifier: Apache-2.0
// What a map of the store is made of.
#include <algorithm>
#include <utility>

#include "client/admin_impl.h"
#include "proto/convert.h"
#include "store/superblock.h"

namespace csnap {
namespace {

Result<StoreUse> use_of(wire::MapSpaceReply::Use use) {
  switch (use) {
    case wire::MapSpaceReply::USE_RESERVED:
      return StoreUse::reserved;
    case wire::MapSpaceReply::USE_SUPERBLOCK:
      return StoreUse::superblock;
    case wire::MapSpaceReply::USE_DATA_LABEL:
      return StoreUse::data_label;
    case wire::MapSpaceReply::USE_BITMAP:
      return StoreUse::bitmap;
    case wire::MapSpaceReply::USE_CHECKSUMS:
      return StoreUse::checksums;
    case wire::MapSpaceReply::USE_SNAPSHOT_TABLE:
      return StoreUse::snapshot_table;
    case wire::MapSpaceReply::USE_CLIENT_TABLE:
      return StoreUse::client_table;
    case wire::MapSpaceReply::USE_JOURNAL:
      return StoreUse::journal;
    case wire::MapSpaceReply::USE_USED:
      return StoreUse::used;
    case wire::MapSpaceReply::USE_POOL:
      return StoreUse::pool;
    case wire::MapSpaceReply::USE_HELD:
      return StoreUse::held;
    case wire::MapSpaceReply::USE_FREE:
      return StoreUse::free;
    default:
      return Status(Code::unsupported,
                    "the server knows a use of space that this program does "
                    "not: it is newer");
  }
}

}  // namespace

Result<Admin::TreePage> Admin::dump_tree(std::uint64_t from) {
  wire::DumpTree request;
  wire::DumpTreeReply reply;
  request.set_from(from);
  CSNAP_TRY(impl_->look(wire::MESSAGE_DUMP_TREE, request, reply));
  const int entries = reply.starts_size();
  if (reply.counts_size() != entries || reply.store_chunks_size() != entries ||
      reply.masks_size() != entries || (reply.more() && reply.next() <= from))
    return Status(Code::corrupt, "the server's answer about its tree contradicts itself");
  TreePage page;
  page.entries.reserve(static_cast<std::size_t>(entries));
  const auto* starts = reply.starts().data();
  const auto* counts = reply.counts().data();
  const auto* store_chunks = reply.store_chunks().data();
  const auto* masks = reply.masks().data();
  for (int i = 0; i < entries; ++i)
    page.entries.push_back({starts[i], counts[i], store_chunks[i], masks[i]});
  for (const auto& b : reply.blocks())
    page.blocks.push_back({b.block(), b.level(), b.start(), b.count(), b.mask()});
  page.next = reply.next();
  page.more = reply.more();
  return page;
}

Result<Admin::SpacePage> Admin::map_space(std::uint64_t from) {
  wire::MapSpace request;
  wire::MapSpaceReply reply;
  request.set_from(from);
  CSNAP_TRY(impl_->look(wire::MESSAGE_MAP_SPACE, request, reply));
  SpacePage page;
  for (const auto& area : reply.areas()) {
    CSNAP_ASSIGN(const StoreUse use, use_of(area.use()));
    if (area.count() == 0 || area.count() > kMaxBlocks)
      return Status(Code::corrupt, "the server's answer about its space contradicts itself");
    page.areas.push_back({from, area.count(), use});
    from += area.count();
  }
  if (page.areas.empty())
    return Status(Code::corrupt, "the server's answer about its space is empty");
  page.more = reply.more();
  return page;
}

}  // namespace csnap
