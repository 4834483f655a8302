// SPDX-License-Identifier: Apache-2.0
// Between messages and our own types, with the checks that bytes from outside need. Errors: invalid
// for what makes no sense anywhere, out_of_range for what lies beyond the end of the volume.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proto/csnap.pb.h"
#include "store/status.h"
#include "store/types.h"
#include "store/uuid.h"

namespace csnap {

using ProtoRanges = google::protobuf::RepeatedPtrField<wire::Range>;

// count > 0, start + count does not overflow and is within a volume of so many chunks.
Status check_range(std::uint64_t start, std::uint64_t count, std::uint64_t volume_chunks);
// At least one range, each as above, at most max_chunks in all.
Result<std::vector<ChunkRun>> ranges_from_proto(const ProtoRanges& ranges,
                                                std::uint64_t volume_chunks,
                                                std::uint64_t max_chunks);
void ranges_to_proto(std::span<const ChunkRun> runs, ProtoRanges& out);

// 16 bytes.
Result<Uuid> uuid_from_proto(const std::string& bytes);
std::string uuid_to_proto(const Uuid& uuid);

}  // namespace csnap
