// SPDX-License-Identifier: Apache-2.0
#include "proto/plain_ranges.h"

namespace csnap {
namespace {

// Tags: field number << 3 | wire type.
constexpr std::uint64_t kRanges = 1 << 3 | 2, kStart = 1 << 3, kCount = 2 << 3;

class Bytes {
 public:
  explicit Bytes(std::span<const std::byte> bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}
  bool empty() const { return at_ == end_; }
  bool varint(std::uint64_t& out) {
    out = 0;
    for (unsigned shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const auto byte = static_cast<std::uint64_t>(*at_++);
      // What does not fit in 64 bits is protobuf's to judge.
      if (shift == 63 && byte > 1) return false;
      out |= (byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool take(Bytes& out) {
    std::uint64_t size = 0;
    if (!varint(size) || size > static_cast<std::uint64_t>(end_ - at_)) return false;
    out = Bytes({at_, static_cast<std::size_t>(size)});
    at_ += size;
    return true;
  }

 private:
  const std::byte* at_;
  const std::byte* end_;
};

bool range(Bytes bytes, ChunkRun& out) {
  for (std::uint64_t tag = 0; !bytes.empty();) {
    if (!bytes.varint(tag)) return false;
    std::uint64_t* const field = tag == kStart   ? &out.start.value
                                 : tag == kCount ? &out.count
                                                 : nullptr;
    if (field == nullptr || !bytes.varint(*field)) return false;
  }
  return true;
}

}  // namespace

bool plain_ranges(std::span<const std::byte> body, std::vector<ChunkRun>& out) {
  out.clear();
  Bytes bytes(body);
  Bytes inner({});
  for (std::uint64_t tag = 0; !bytes.empty();) {
    ChunkRun run{Chunk(0), 0};
    if (!bytes.varint(tag) || tag != kRanges || !bytes.take(inner) || !range(inner, run))
      return false;
    out.push_back(run);
  }
  return !out.empty();
}

}  // namespace csnap
