// SPDX-License-Identifier: Apache-2.0
// Where the pages of a volume lie in a tree of block files, and how such a volume is named:
// docs/format/block_tree.md. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "store/status.h"

namespace csnap {

inline constexpr std::uint32_t kBlockTreePage = 4096;  // of nbd-server's layout
inline constexpr std::uint32_t kLargestTreePage = 4u << 20;
inline constexpr unsigned kTreeFanBits = 10;  // 1024 entries in a directory
inline constexpr std::uint64_t kTreeFan = 1u << kTreeFanBits;
// Says that a directory is in csnap's own layout, and which.
inline constexpr const char* kTreeMarker = "csnap-tree";

// "tree:DIRECTORY?size=SIZE&page=SIZE&writes=WAY", as a user names a volume.
struct BlockTreePath {
  std::string directory;
  std::uint64_t size = 0;  // bytes; 0: not said
  std::uint32_t page = 0;  // bytes; 0: not said
  // How a page that is there already is written; not said: as the file system needs it.
  enum class Writes { any, in_place, replace } writes = Writes::any;

  // Nothing when the text names no tree: it is a path then. invalid when it does it wrongly.
  static Result<std::optional<BlockTreePath>> parse(const std::string& text);
  std::string to_string() const;
};

class BlockTreeLayout {
 public:
  // invalid: no volume can have this size or page.
  static Result<BlockTreeLayout> make(std::uint64_t size, std::uint32_t page);

  std::uint64_t size() const { return size_; }  // bytes, as it was said
  std::uint32_t page() const { return page_; }
  std::uint64_t pages() const { return pages_; }
  unsigned levels() const { return levels_; }  // of directories above the files
  bool ours() const { return page_ != kBlockTreePage; }

  // Of the directory of a level (1: in the top directory) above the page, "TREE0001/TREE0002".
  std::string directory_of(std::uint64_t page, unsigned level) const;
  // "" when it is the top directory.
  std::string directory_of(std::uint64_t page) const { return directory_of(page, levels_); }
  std::string file_name(std::uint64_t page) const;  // without directories
  std::string path_of(std::uint64_t page) const;
  // Of the directory of a level above the page, without those it is in.
  std::string directory_name(std::uint64_t page, unsigned level) const;

  // The number in the name of a file, or of a directory; nothing when it is no such name.
  std::optional<std::uint64_t> file_number(std::string_view name) const;
  std::optional<std::uint64_t> directory_number(std::string_view name) const;
  // The largest number that there may be in the top directory.
  std::uint64_t last_at_top() const { return (pages_ - 1) >> (kTreeFanBits * levels_); }

 private:
  std::string part(const char* prefix, std::uint64_t page, unsigned level) const;

  std::uint64_t size_ = 0, pages_ = 0;
  std::uint32_t page_ = 0;
  unsigned levels_ = 0;
};

}  // namespace csnap
