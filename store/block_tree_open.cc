// SPDX-License-Identifier: Apache-2.0
// Opening a tree: what is in the directory, and does it fit what was said of it?
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "store/block_tree.h"
#include "store/directory_names.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

// More one by one take longer than all of a file system together.
constexpr std::size_t kMostUnsynced = 16;
// Where syncing everything may do less than syncing each file.
constexpr std::size_t kMostUnsyncedElsewhere = 1u << 16;

Result<OpenFilePtr> open_top(const BlockTreePath& path) {
  const int fd = ::open(path.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) return std::make_shared<const OpenFile>(fd);
  if (errno == ENOENT)
    return Status(Code::not_found, path.directory +
                                       ": does not exist; a new volume takes an empty "
                                       "directory");
  if (errno == ENOTDIR) return Status(Code::invalid, path.directory + ": is not a directory");
  return errno_status(errno, path.directory + ": cannot be opened");
}

// -- the marker -----------------------------------------------------------------------------------

struct Marker {
  std::uint64_t size = 0;
  std::uint32_t page = 0;
};
constexpr const char* kMarkerForm = "csnap block tree 1\nsize %llu\npage %u\n";

Result<std::optional<Marker>> read_marker(int top, const BlockTreePath& path) {
  const int fd = ::openat(top, kTreeMarker, O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return std::optional<Marker>();
  const std::string name = path.directory + "/" + kTreeMarker;
  if (fd < 0) return errno_status(errno, name + ": cannot be opened");
  const OpenFile file(fd);
  std::array<char, 128> text{};
  if (::pread(fd, text.data(), text.size() - 1, 0) < 0)
    return errno_status(errno, name + ": cannot be read");
  unsigned long long size = 0;
  unsigned page = 0;
  if (std::sscanf(text.data(), kMarkerForm, &size, &page) != 2 || page <= kBlockTreePage ||
      page > kLargestTreePage || (page & (page - 1)) != 0)
    return Status(Code::unsupported, name + ": is not what this csnap writes there");
  return std::optional(Marker{size, page});
}

Status write_marker(int top, const BlockTreePath& path, const BlockTreeLayout& layout) {
  const std::string what = path.directory + "/" + kTreeMarker + ": cannot be made";
  std::array<char, 128> text{};
  const int length = std::snprintf(text.data(), text.size(), kMarkerForm,
                                   static_cast<unsigned long long>(layout.size()), layout.page());
  const std::string temporary = std::string(".") + kTreeMarker + ".new";
  const int fd = ::openat(top, temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return errno_status(errno, what);
  const OpenFile file(fd);
  if (::pwrite(fd, text.data(), static_cast<std::size_t>(length), 0) != length ||
      ::fsync(fd) != 0 || ::renameat(top, temporary.c_str(), top, kTreeMarker) != 0 ||
      ::fsync(top) != 0)
    return errno_status(errno, what);
  return {};
}

// -- what is in the directory ---------------------------------------------------------------------

bool is_part_of_any_tree(const std::string& name) {
  for (const std::uint32_t page : {kBlockTreePage, 2 * kBlockTreePage}) {
    const auto layout = BlockTreeLayout::make(page, page);
    if (layout->file_number(name) || layout->directory_number(name)) return true;
  }
  return false;
}

// Is what is there what a volume of this size would have there? Looks at the top and at the first
// of each level below, which is enough to tell any two sizes with different paths apart.
// The answer: are there pages?
Result<bool> check_shape(int top, const BlockTreePath& path, const BlockTreeLayout& layout) {
  std::string below = ".";
  bool any = false;
  std::string foreign;
  for (unsigned level = 1; level <= layout.levels() + 1; ++level) {
    const std::string whole = path.directory + (level == 1 ? "" : "/" + below);
    CSNAP_ASSIGN(const auto names, names_in(top, below, whole));
    std::string first;
    for (const std::string& name : names) {
      const bool leaf = level == layout.levels() + 1;
      const auto number = leaf ? layout.file_number(name) : layout.directory_number(name);
      if (number && (level > 1 || *number <= layout.last_at_top())) {
        if (first.empty()) first = name;
      } else if (is_part_of_any_tree(name)) {
        return Status(Code::invalid,
                      whole + " holds " + name + ", which a volume of " +
                          std::to_string(layout.size()) + " bytes in pages of " +
                          std::to_string(layout.page()) +
                          " has not there; is the size right, or is it another volume's?");
      } else if (level == 1 && name[0] != '.' && name != kTreeMarker && name != "lost+found") {
        foreign = name;
      }
    }
    if (first.empty()) break;
    any = true;
    below = level == 1 ? first : below + "/" + first;
  }
  if (!any && !foreign.empty())
    return Status(Code::invalid, path.directory + ": holds " + foreign +
                                     " and no volume; a new one takes an empty directory");
  return any;
}

struct InDirectory {
  BlockTreeLayout layout;
  bool marked = false;
  bool pages = false;
};

Result<BlockTreeLayout> layout_from(int top, const BlockTreePath& path, bool& marked) {
  CSNAP_ASSIGN(const auto marker, read_marker(top, path));
  marked = marker.has_value();
  const auto differs = [&](const char* what, std::uint64_t said, std::uint64_t recorded) {
    return Status(Code::invalid, path.to_string() + ": " + what + "=" + std::to_string(said) +
                                     " was said, but the volume there was made with " +
                                     std::to_string(recorded));
  };
  if (marker && path.size != 0 && path.size != marker->size)
    return differs("size", path.size, marker->size);
  if (marker && path.page != 0 && path.page != marker->page)
    return differs("page", path.page, marker->page);
  if (!marker && path.size == 0)
    return Status(Code::invalid, path.to_string() +
                                     ": nothing there says how large the volume is; say it: tree:" +
                                     path.directory + "?size=SIZE");
  auto layout = BlockTreeLayout::make(marker ? marker->size : path.size,
                                      marker ? marker->page : std::max(path.page, kBlockTreePage));
  return layout.ok() ? layout : layout.status().with_context(path.to_string());
}

Result<InDirectory> look(int top, const BlockTreePath& path) {
  bool marked = false;
  CSNAP_ASSIGN(const auto layout, layout_from(top, path, marked));
  CSNAP_ASSIGN(const bool pages, check_shape(top, path, layout));
  return InDirectory{layout, marked, pages};
}

// -- the file system ------------------------------------------------------------------------------

// Network and user-space file systems: other hosts change the files, or what a system call does is
// somebody else's to say.
bool is_local(int top) {
  constexpr std::array<std::uint32_t, 9> kElsewhere = {
      0x6969,      // NFS
      0x65735546,  // FUSE
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB2
      0x517B,      // SMB
      0x01021997,  // 9P
      0x00C36400,  // Ceph
      0x5346414F,  // AFS
      0x73757245,  // Coda
  };
  struct statfs info {};
  if (::fstatfs(top, &info) != 0) return false;
  return std::find(kElsewhere.begin(), kElsewhere.end(), static_cast<std::uint32_t>(info.f_type)) ==
         kElsewhere.end();
}

// Blocks of a file system are written as a whole; pages are that where a block holds one.
bool must_replace(int top, const BlockTreePath& path) {
  if (path.writes != BlockTreePath::Writes::any)
    return path.writes == BlockTreePath::Writes::replace;
  struct statfs info {};
  return ::fstatfs(top, &info) != 0 || static_cast<std::uint64_t>(info.f_bsize) < kBlockTreePage;
}

// There are up to three trees in a process, and all else that it opens.
std::size_t a_part_of_the_files(std::size_t part) {
  rlimit limit{};
  constexpr rlim_t kUsual = 1024, kMost = 8192;
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = kUsual;
  return static_cast<std::size_t>(std::min(limit.rlim_cur, kMost)) / part;
}

}  // namespace

BlockTree::BlockTree(OpenFilePtr top, const BlockTreePath& path, const BlockTreeLayout& layout,
                     bool read_only)
    : top_(std::move(top)),
      root_(top_->fd()),
      name_(path.to_string()),
      layout_(layout),
      read_only_(read_only),
      local_(is_local(root_)),
      replace_(must_replace(root_, path)),
      files_(local_ ? a_part_of_the_files(8) : 0),
      directories_(local_ ? a_part_of_the_files(16) : 0),
      unsynced_(local_ ? kMostUnsynced : kMostUnsyncedElsewhere) {}

Result<std::shared_ptr<BlockTree>> BlockTree::open(const BlockTreePath& path, bool read_only) {
  CSNAP_ASSIGN(const auto top, open_top(path));
  if (::faccessat(top->fd(), ".", read_only ? R_OK | X_OK : R_OK | W_OK | X_OK, AT_EACCESS) != 0)
    return errno_status(errno, path.directory + ": no permission to " +
                                   (read_only ? "read" : "make files in") + " this directory");
  CSNAP_ASSIGN(const InDirectory found, look(top->fd(), path));
  if (found.layout.ours() && !found.marked && !read_only)
    CSNAP_TRY(write_marker(top->fd(), path, found.layout));
  return std::make_shared<BlockTree>(top, path, found.layout, read_only);
}

Result<BlockTreeLayout> BlockTree::layout_of(const BlockTreePath& path) {
  CSNAP_ASSIGN(const auto top, open_top(path));
  bool marked = false;
  return layout_from(top->fd(), path, marked);
}

Result<bool> BlockTree::holds_pages(const BlockTreePath& path) {
  CSNAP_ASSIGN(const auto top, open_top(path));
  CSNAP_ASSIGN(const InDirectory found, look(top->fd(), path));
  return found.pages;
}

Status BlockTree::create(const BlockTreePath& path) {
  if (path.size == 0) return Status(Code::invalid, path.to_string() + ": of what size?");
  CSNAP_TRY(BlockTreeLayout::make(path.size, std::max(path.page, kBlockTreePage)).status());
  if (::mkdir(path.directory.c_str(), 0700) != 0)
    return errno_status(errno, path.directory + ": cannot be made");
  Status status = open(path, false).status();
  const auto above = std::filesystem::absolute(path.directory).lexically_normal() / "..";
  if (status.ok()) {
    const int fd = ::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (::fsync(fd) != 0 && errno != EINVAL))
      status = errno_status(errno, above.string() + ": cannot be made durable");
    if (fd >= 0) ::close(fd);
  }
  if (!status.ok()) ::rmdir(path.directory.c_str());
  return status;
}

}  // namespace csnap
