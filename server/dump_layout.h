// SPDX-License-Identifier: Apache-2.0
// The numbers of a dump's header that say how large the store is and where its areas lie, by name
// and in the order of the text. For dump_text.cc and dump_parse.cc.
#pragma once

#include <array>
#include <utility>

#include "server/dump_text.h"

namespace csnap {

inline constexpr std::array<std::pair<const char*, std::uint64_t DumpHeader::*>, 16> kDumpLayout{{
    {"chunk_size", &DumpHeader::chunk_size},
    {"origin_size", &DumpHeader::origin_size},
    {"store_size", &DumpHeader::store_size},
    {"metadata_size", &DumpHeader::metadata_size},
    {"data_reserved", &DumpHeader::data_reserved},
    {"data_bitmap", &DumpHeader::data_bitmap},
    {"metadata_reserved", &DumpHeader::metadata_reserved},
    {"metadata_bitmap", &DumpHeader::metadata_bitmap},
    {"snapshots", &DumpHeader::snapshots},
    {"snapshot_blocks", &DumpHeader::snapshot_blocks},
    {"clients", &DumpHeader::clients},
    {"client_blocks", &DumpHeader::client_blocks},
    {"checksums", &DumpHeader::checksums},
    {"checksum_blocks", &DumpHeader::checksum_blocks},
    {"journal", &DumpHeader::journal},
    {"journal_blocks", &DumpHeader::journal_blocks},
}};

}  // namespace csnap
