// SPDX-License-Identifier: Apache-2.0
#include "proto/convert.h"

#include <algorithm>

namespace csnap {
namespace {

std::string describe(std::uint64_t start, std::uint64_t count) {
  return std::to_string(count) + " chunks from chunk " + std::to_string(start);
}

}  // namespace

Status check_range(std::uint64_t start, std::uint64_t count, std::uint64_t volume_chunks) {
  if (count == 0)
    return {Code::invalid, "the range at chunk " + std::to_string(start) + " is empty"};
  if (start + count < start)
    return {Code::out_of_range, "a range overflows: " + describe(start, count)};
  if (start + count > volume_chunks)
    return {Code::out_of_range, "a range ends beyond the volume of " +
                                    std::to_string(volume_chunks) +
                                    " chunks: " + describe(start, count)};
  return {};
}

Result<std::vector<ChunkRun>> ranges_from_proto(const ProtoRanges& ranges,
                                                std::uint64_t volume_chunks,
                                                std::uint64_t max_chunks) {
  if (ranges.empty()) return Status(Code::invalid, "the request names no range");
  // Every range has a chunk at least: no need to look at more, or to make room for them.
  const auto too_many = [max_chunks] {
    return Status(Code::invalid, "the request names more than " + std::to_string(max_chunks) +
                                     " chunks, the limit for one");
  };
  if (static_cast<std::uint64_t>(ranges.size()) > max_chunks) return too_many();
  std::vector<ChunkRun> runs;
  runs.reserve(static_cast<std::size_t>(ranges.size()));
  std::uint64_t total = 0;
  for (const auto& range : ranges) {
    CSNAP_TRY(check_range(range.start(), range.count(), volume_chunks));
    if (range.count() > max_chunks - total) return too_many();
    total += range.count();
    runs.push_back({Chunk(range.start()), range.count()});
  }
  return runs;
}

void ranges_to_proto(std::span<const ChunkRun> runs, ProtoRanges& out) {
  out.Reserve(out.size() + static_cast<int>(runs.size()));
  for (const auto& run : runs) {
    auto* range = out.Add();
    range->set_start(run.start.value);
    range->set_count(run.count);
  }
}

Result<Uuid> uuid_from_proto(const std::string& bytes) {
  Uuid uuid;
  if (bytes.size() != uuid.bytes.size())
    return Status(Code::invalid, "a UUID has 16 bytes, not " + std::to_string(bytes.size()));
  std::copy(bytes.begin(), bytes.end(), uuid.bytes.begin());
  return uuid;
}

std::string uuid_to_proto(const Uuid& uuid) {
  return {uuid.bytes.begin(), uuid.bytes.end()};
}

}  // namespace csnap
