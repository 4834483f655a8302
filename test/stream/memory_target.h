// SPDX-License-Identifier: Apache-2.0
// A volume in memory that streams are applied to.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/stream/stream_applier.h"

namespace csnap {

class MemoryTarget : public ReceiveTarget {
 public:
  explicit MemoryTarget(std::size_t bytes) : content(bytes) {}

  std::uint64_t size() const override { return content.size(); }
  Result<std::string> begin(const StreamBegin& b) override {
    begun = b;
    if (b.from) return path;
    if (!b.parent) {
      std::ranges::fill(content, std::byte{0});
      return std::string();
    }
    const auto parent = find(*b.parent);
    if (parent == snapshots.end()) return Status(Code::not_found, "no such parent");
    content = parent->content;
    path = parent->path;
    return path;
  }
  Status named(const std::string& name) override {
    path = name;
    return {};
  }
  Status write(std::uint64_t offset, std::span<const std::byte> data) override {
    CSNAP_TRY(check(offset, data.size()));
    std::ranges::copy(data, content.begin() + static_cast<std::ptrdiff_t>(offset));
    return {};
  }
  Status zero(std::uint64_t offset, std::uint64_t length) override {
    CSNAP_TRY(check(offset, length));
    std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
    return {};
  }
  Status clone(const std::optional<StreamIdentity>& from, std::uint64_t from_offset,
               std::uint64_t offset, std::uint64_t length) override {
    const auto source = from ? find(*from) : snapshots.end();
    if (from && source == snapshots.end()) return Status(Code::not_found, "no such source");
    CSNAP_TRY(check(from_offset, length));
    const std::vector<std::byte> all = from ? source->content : content;
    return write(offset, std::span(all).subspan(from_offset, length));
  }
  Status finish() override {
    snapshots.push_back({begun.name, begun.identity, path, content});
    return {};
  }

  struct Made {
    std::string name;
    StreamIdentity identity;
    std::string path;
    std::vector<std::byte> content;
  };
  std::vector<Made>::iterator find(const StreamIdentity& identity) {
    return std::ranges::find(snapshots, identity, &Made::identity);
  }

  std::vector<std::byte> content;
  std::string path;
  StreamBegin begun;
  std::vector<Made> snapshots;
  bool out_of_bounds = false;  // was asked for what is not in the volume

 private:
  Status check(std::uint64_t offset, std::uint64_t length) {
    if (offset <= content.size() && length <= content.size() - offset) return {};
    out_of_bounds = true;
    return Status(Code::internal, "beyond the volume");
  }
};

// Feeds all of the bytes, in pieces of at most `piece`, and applies what comes of it; ok only if
// the input ended between streams.
inline Status apply_stream(std::span<const std::byte> bytes, std::size_t piece,
                           StreamApplier& applier) {
  StreamReader reader;
  for (;;) {
    CSNAP_TRY(applier.apply_all(reader));
    if (bytes.empty())
      return reader.between_streams() ? Status() : Status(Code::io_error, "cut off");
    const auto room = reader.space();
    const std::size_t n = std::min({room.size(), bytes.size(), piece});
    std::ranges::copy(bytes.first(n), room.begin());
    reader.filled(n);
    bytes = bytes.subspan(n);
  }
}

}  // namespace csnap
