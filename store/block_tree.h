// SPDX-License-Identifier: Apache-2.0
// The files of a volume that is kept as one file per page: docs/format/block_tree.md. For
// BlockTreeDevice, which makes a Device of it.
//
// No data is kept here, so that another process that has the same tree open sees every write at
// once. Files are kept open, a bounded number; each use makes sure that its file was not removed or
// replaced meanwhile.
//
// Threading: any. Writes of one page go one after the other. Two processes must not write one page
// at once.
// Errors: denied, no_space, io_error, with the file and what to do.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "store/block_tree_layout.h"
#include "store/open_files.h"
#include "store/status.h"

namespace csnap {

// What a flush has to sync. Beyond a number of files it is all of the file system, which takes less
// time then.
class BlockTreeUnsynced {
 public:
  using Directory = std::pair<unsigned, std::uint64_t>;  // level, first page

  explicit BlockTreeUnsynced(std::size_t most) : most_(most) {}

  struct Work {
    // At first: what a process that ended left behind is nobody's otherwise.
    bool everything = true;
    std::set<std::uint64_t> pages;
    std::set<Directory> directories;
  };
  void wrote(std::uint64_t page);
  void changed(unsigned level, std::uint64_t first_page);
  Work take();
  void failed();  // what was taken is not durable

 private:
  void limit();

  const std::size_t most_;
  std::mutex mutex_;
  Work work_;
};

class BlockTree {
 public:
  static constexpr std::uint32_t kSector = 512;

  // not_found, denied, invalid: what is there is no tree of this size. Nothing is made, but for the
  // marker of a new tree in a layout of our own that is opened for writing.
  static Result<std::shared_ptr<BlockTree>> open(const BlockTreePath& path, bool read_only);
  // A new directory, durable; exists when there is one. REQUIRES: a size.
  static Status create(const BlockTreePath& path);
  // Does it have any page?
  static Result<bool> holds_pages(const BlockTreePath& path);
  // As it is recorded, or was said.
  static Result<BlockTreeLayout> layout_of(const BlockTreePath& path);

  // Takes the descriptor. For open().
  BlockTree(OpenFilePtr root, const BlockTreePath& path, const BlockTreeLayout& layout,
            bool read_only);
  BlockTree(const BlockTree&) = delete;
  BlockTree& operator=(const BlockTree&) = delete;

  const std::string& name() const { return name_; }
  const BlockTreeLayout& layout() const { return layout_; }
  std::uint64_t size() const { return whole_sectors(layout_); }  // bytes
  bool read_only() const { return read_only_; }
  // Of a volume whose last sector is not whole, the rest of that is there, too: it is in its file.
  static std::uint64_t whole_sectors(const BlockTreeLayout& layout) {
    return (layout.size() + kSector - 1) / kSector * kSector;
  }

  // REQUIRES: within size().
  Status read(std::uint64_t offset, std::span<std::byte> data);
  Status write(std::uint64_t offset, std::span<const std::byte> data);
  // Makes every write durable that came back before.
  Status flush();
  struct Pages {
    std::uint64_t first = 0, end = 0;
  };
  // The first page at or after `from` that has a file, and the end of those behind it in the same
  // directory that have one, too; the number of pages, twice, when there is none. Reads only the
  // directories that exist, and no more of them than lie on the way.
  Result<Pages> next_pages(std::uint64_t from) const;

 private:
  struct Found {
    OpenFilePtr file;     // null: there is none
    bool cached = false;  // so it may have been removed
  };
  enum class Outcome { done, again };
  static constexpr std::size_t kLocks = 64;

  Status read_page(std::uint64_t page, std::size_t within, std::span<std::byte> data);
  Status write_page(std::uint64_t page, std::size_t within, std::span<const std::byte> data);
  Result<Outcome> overwrite(std::uint64_t page, const OpenFile& file, std::size_t within,
                            std::span<const std::byte> data);
  Result<Outcome> open_and_write(std::uint64_t page, std::size_t within,
                                 std::span<const std::byte> data);
  std::string new_name(std::uint64_t page) const { return "." + layout_.file_name(page) + ".new"; }
  std::string new_path(std::uint64_t page) const;
  Result<OpenFilePtr> lock_new_file(std::uint64_t page);
  Status replace(std::uint64_t page, std::size_t within, std::span<const std::byte> data);
  Status remove(std::uint64_t page);
  void remove_empty_directories(std::uint64_t page);

  Result<Pages> next_below(int directory, unsigned level, std::uint64_t first,
                           std::uint64_t from) const;
  Result<Pages> next_in_directory(int directory, unsigned level, std::uint64_t page,
                                  std::uint64_t from) const;

  Result<Found> find(std::uint64_t page);
  int open_file(std::uint64_t page, const std::string& name, int flags);
  Result<OpenFilePtr> open_or_make(std::uint64_t page, const std::string& name, int flags);
  void keep(std::uint64_t page, OpenFilePtr file);
  Status make_directories(std::uint64_t page);
  void file_added_or_removed(std::uint64_t page) { directory_changed(layout_.levels(), page); }
  void directory_changed(unsigned level, std::uint64_t page);
  std::uint64_t directory_key(unsigned level, std::uint64_t page) const;
  bool whole(std::uint64_t page, std::size_t within, std::size_t length) const;

  Status sync_page(std::uint64_t page);
  Status sync_pages(const std::set<std::uint64_t>& pages);
  Status sync_directory(unsigned level, std::uint64_t first_page);
  Status failure(const char* what, const std::string& file, int error) const;

  const OpenFilePtr top_;
  const int root_;
  const std::string name_;
  const BlockTreeLayout layout_;
  const bool read_only_;
  const bool local_;    // no other host changes the files
  const bool replace_;  // a page that is there is replaced by a new file
  OpenFiles files_, directories_;
  std::atomic<std::uint64_t> last_directory_{~std::uint64_t{0}};
  std::array<std::mutex, kLocks> locks_;  // of pages, for who changes them
  BlockTreeUnsynced unsynced_;
  std::mutex flush_mutex_;
};

}  // namespace csnap
