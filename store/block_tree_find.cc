// SPDX-License-Identifier: Apache-2.0
// Which pages of a tree have files: from the directories that are there, not page by page.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "store/block_tree.h"
#include "store/directory_names.h"

namespace csnap {

Result<BlockTree::Pages> BlockTree::next_pages(std::uint64_t from) const {
  const Pages none{layout_.pages(), layout_.pages()};
  if (from >= layout_.pages()) return none;
  return next_below(root_, 0, 0, from);
}

// In the directory that holds page `page` at this level, which is opened in that of the level
// above.
Result<BlockTree::Pages> BlockTree::next_in_directory(int above, unsigned level, std::uint64_t page,
                                                      std::uint64_t from) const {
  const std::string name = layout_.directory_name(page, level);
  const int fd = ::openat(above, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) return Pages{layout_.pages(), layout_.pages()};
  if (fd < 0) return failure("open", layout_.directory_of(page, level), errno);
  const OpenFile directory(fd);
  return next_below(fd, level, page, std::max(page, from));
}

// In an open directory of this level, whose first page that is.
Result<BlockTree::Pages> BlockTree::next_below(int directory, unsigned level, std::uint64_t first,
                                               std::uint64_t from) const {
  const bool files = level == layout_.levels();
  const unsigned shift = kTreeFanBits * (layout_.levels() - level);
  const auto page_of = [&](std::uint64_t number) { return first + (number << shift); };
  const auto there = [&](const Pages& found) { return found.first < layout_.pages(); };
  std::uint64_t number = (from - first) >> shift;
  // Whoever goes on from where he was finds the next one here, mostly, without reading all names.
  for (const std::uint64_t end = std::min(number + 2, kTreeFan); !files && number < end; ++number) {
    CSNAP_ASSIGN(const Pages found, next_in_directory(directory, level + 1, page_of(number), from));
    if (there(found)) return found;
  }
  const std::string whole = name_ + (level == 0 ? "" : "/" + layout_.directory_of(first, level));
  const auto names = names_in(directory, ".", whole);
  Pages run{layout_.pages(), layout_.pages()};
  if (names.status().code() == Code::not_found) return run;  // it was removed just now
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    const auto n = files ? layout_.file_number(name) : layout_.directory_number(name);
    if (!n || *n < number || page_of(*n) >= layout_.pages()) continue;
    if (!files) {
      CSNAP_ASSIGN(const Pages found, next_in_directory(directory, level + 1, page_of(*n), from));
      if (there(found)) return found;
    } else if (!there(run)) {
      run = {page_of(*n), page_of(*n) + 1};
    } else if (page_of(*n) == run.end) {
      ++run.end;
    } else {
      break;
    }
  }
  return run;
}

}  // namespace csnap
