// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <thread>
#include <utility>
#include <vector>

#include "store/block_tree.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

constexpr std::size_t kSyncsAtOnce = 8;

}  // namespace

void BlockTreeUnsynced::wrote(std::uint64_t page) {
  const std::lock_guard lock(mutex_);
  if (!work_.everything) work_.pages.insert(page);
  limit();
}

void BlockTreeUnsynced::changed(unsigned level, std::uint64_t first_page) {
  const std::lock_guard lock(mutex_);
  if (!work_.everything) work_.directories.insert({level, first_page});
  limit();
}

void BlockTreeUnsynced::limit() {
  if (work_.pages.size() + work_.directories.size() > most_) work_ = Work{};
}

BlockTreeUnsynced::Work BlockTreeUnsynced::take() {
  const std::lock_guard lock(mutex_);
  Work nothing;
  nothing.everything = false;
  return std::exchange(work_, std::move(nothing));
}

void BlockTreeUnsynced::failed() {
  const std::lock_guard lock(mutex_);
  work_ = Work{};
}

void BlockTree::directory_changed(unsigned level, std::uint64_t page) {
  const unsigned below = kTreeFanBits * (layout_.levels() + 1 - level);
  unsynced_.changed(level, page >> below << below);
}

Status BlockTree::flush() {
  // One that comes while another is under way waits for it: that may have taken what this one is
  // to make durable.
  const std::lock_guard lock(flush_mutex_);
  const auto work = unsynced_.take();
  Status status;
  if (work.everything) {
    if (::syncfs(root_) != 0) status = failure("sync the file system of", "", errno);
  } else {
    status = sync_pages(work.pages);
    for (const auto& [level, page] : work.directories)
      if (status.ok()) status = sync_directory(level, page);
  }
  if (!status.ok()) unsynced_.failed();
  return status;
}

Status BlockTree::sync_page(std::uint64_t page) {
  const int fd = open_file(page, layout_.file_name(page), O_RDONLY);
  if (fd == -ENOENT) return {};  // removed since; its directory is synced
  if (fd < 0) return failure("open", layout_.path_of(page), -fd);
  const OpenFile file(fd);
  while (::fdatasync(fd) != 0)
    if (errno != EINTR) return failure("sync", layout_.path_of(page), errno);
  return {};
}

// Several at once: the disk makes one flush of those that come together.
Status BlockTree::sync_pages(const std::set<std::uint64_t>& pages) {
  const std::vector<std::uint64_t> all(pages.begin(), pages.end());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  Status first_failure;
  const auto work = [&] {
    for (std::size_t i = next++; i < all.size(); i = next++) {
      Status status = sync_page(all[i]);
      const std::lock_guard lock(mutex);
      if (first_failure.ok()) first_failure = std::move(status);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < std::min(all.size(), kSyncsAtOnce); ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  return first_failure;
}

Status BlockTree::sync_directory(unsigned level, std::uint64_t first_page) {
  const std::string path = level == 0 ? "." : layout_.directory_of(first_page, level);
  const int fd = ::openat(root_, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return {};  // removed since; the one above is synced
  if (fd < 0) return failure("open", path, errno);
  const OpenFile directory(fd);
  // Some file systems have nothing to sync in a directory and say so.
  if (::fsync(fd) != 0 && errno != EINVAL) return failure("sync", path, errno);
  return {};
}

}  // namespace csnap
