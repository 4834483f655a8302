// SPDX-License-Identifier: Apache-2.0
#include "tools/fuse/contents.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "client/volume_data.h"
#include "store/device_identity.h"

namespace csnap {
namespace {

// A count is made again no sooner than after so many times what it took.
constexpr int kRest = 10;
// Of data without a hole, that are looked at for one. Of a tree it is a directory each.
constexpr int kExtentsAtOnce = 256;

}  // namespace

Contents::~Contents() {
  if (origin_ >= 0) ::close(origin_);
}

Result<Contents::Usage> Contents::usage(const Admin::SnapshotEntry& snapshot) {
  CSNAP_ASSIGN(const auto status, snapshots_.status());
  std::lock_guard lock(mutex_);
  const bool same = counted_ && incarnation_ == status.incarnation && commits_ == status.commits;
  if (!same && (!counted_ || Clock::now() - counted_at_ >= kRest * took_)) {
    CSNAP_TRY(count());
    // What is committed while it counts is not all in it, so it counts as of before.
    incarnation_ = status.incarnation;
    commits_ = status.commits;
  }
  return usage_[snapshot.bit % kMaxSnapshots];
}

Status Contents::count() {
  const auto began = Clock::now();
  CSNAP_ASSIGN(const auto list, snapshots_.list());
  ShareMask live = 0;
  for (const auto& entry : list.snapshots) live |= mask_of_bit(entry.bit % kMaxSnapshots);
  std::array<Usage, kMaxSnapshots> usage{};
  std::uint64_t from = 0;
  for (bool more = true; more;) {
    CSNAP_ASSIGN(const auto page, admin_.ask([&](Admin& admin) { return admin.dump_tree(from); }));
    for (const auto& entry : page.entries) {
      if (is_lost(StoreChunk(entry.store_chunk))) continue;
      const ShareMask mask = entry.mask & live;
      const std::uint64_t bytes = entry.count * list.chunk_size;
      const bool alone = std::has_single_bit(mask);
      for (ShareMask rest = mask; rest != 0; rest &= rest - 1) {
        Usage& each = usage[static_cast<unsigned>(std::countr_zero(rest))];
        (alone ? each.exclusive : each.shared) += bytes;
      }
    }
    from = page.next;
    more = page.more;
  }
  usage_ = usage;
  counted_ = true;
  counted_at_ = Clock::now();
  took_ = counted_at_ - began;
  return {};
}

Status Contents::open_origin() {
  if (origin_looked_for_) return {};
  CSNAP_ASSIGN(const auto status, snapshots_.status());
  origin_looked_for_ = true;
  for (const auto& device : status.devices) {
    if (device.role != "origin") continue;
    const std::string path = origin_path_.empty() ? device.path : origin_path_;
    const auto mine = identify(path);
    const auto theirs = DeviceIdentity::parse(device.identity);
    // Only what is surely the same file: another one's times would be lies.
    if (!mine.ok() || !theirs.ok() || mine->host.empty() || mine->host != theirs->host ||
        mine->rdev != 0 || mine->inode == 0 || mine->inode != theirs->inode ||
        mine->device != theirs->device)
      continue;
    origin_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  }
  return {};
}

std::uint64_t Contents::origin_changed_at() {
  std::lock_guard lock(mutex_);
  struct stat now {};
  if (!open_origin().ok() || origin_ < 0 || ::fstat(origin_, &now) != 0) return 0;
  return static_cast<std::uint64_t>(now.st_mtim.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.st_mtim.tv_nsec);
}

Result<std::uint64_t> Contents::find(const Admin::SnapshotEntry& snapshot, Volume& volume,
                                     bool data, std::uint64_t offset) {
  const VolumeData contents(volume, snapshot.bit, [&](std::uint64_t from, std::uint32_t limit) {
    return admin_.ask([&](Admin& admin) { return admin.dump(from, limit); });
  });
  std::uint64_t at = offset;
  for (int i = 0; i < kExtentsAtOnce && at < volume.size(); ++i) {
    CSNAP_ASSIGN(const DataExtent next, contents.next(at));
    if (data) return next.start;
    if (next.start > at) break;
    at = next.end;
  }
  return std::min(at, volume.size());
}

}  // namespace csnap
