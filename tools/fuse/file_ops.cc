// SPDX-License-Identifier: Apache-2.0
// What is done to files: reading, writing, punching holes, making durable.
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <span>
#include <utility>

#include "store/aligned_buffer.h"
#include "tools/fuse/file_system.h"

namespace csnap {
namespace {

OpenFile& file_of(const fuse_file_info* file) {
  return *reinterpret_cast<OpenFile*>(file->fh);
}

// Memory on a page boundary, which a volume reads into and writes from without copying. One for
// each thread.
std::span<std::byte> page_memory(std::size_t size) {
  thread_local AlignedBuffer buffer;
  if (buffer.size() < size) buffer = AlignedBuffer((size + 4095) / 4096 * 4096);
  return buffer.span().first(size);
}

void csnap_open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  FileSystem& fs = file_system_of(request);
  if (!is_volume(node)) return static_cast<void>(fuse_reply_err(request, EISDIR));
  const bool to_write = (file->flags & O_ACCMODE) != O_RDONLY;
  if (to_write && fs.volumes.read_only()) return static_cast<void>(fuse_reply_err(request, EROFS));
  // The kernel leaves it to us, and would take the file for empty from then on.
  if ((file->flags & O_TRUNC) != 0) return static_cast<void>(fuse_reply_err(request, EPERM));
  const std::uint64_t id = volume_of(node);
  // The kernel may still know it although it is gone.
  if (id != kOriginVolume)
    if (const auto there = fs.snapshots.find(id); !there.ok())
      return reply_status(request, there.status());
  auto volume = fs.volumes.open(id, to_write);
  // A device that is not found is another matter.
  if (volume.status().code() == Code::not_found && id != kOriginVolume &&
      fs.snapshots.find(id).status().code() == Code::not_found)
    return static_cast<void>(fuse_reply_err(request, ESTALE));
  if (volume.status().code() == Code::not_found) {
    fuse_log(FUSE_LOG_ERR, "csnap-fuse: %s\n", volume.status().message().c_str());
    return static_cast<void>(fuse_reply_err(request, EIO));
  }
  if (!volume.ok()) return reply_status(request, volume.status());
  // Ids of another store, which the server may have got meanwhile, name other volumes.
  if ((*volume)->store_uuid() != fs.store)
    return static_cast<void>(fuse_reply_err(request, ESTALE));
  if (to_write && (*volume)->read_only()) return static_cast<void>(fuse_reply_err(request, EROFS));
  OpenFile& kept = fs.volumes.keep(id, std::move(*volume));
  file->fh = reinterpret_cast<std::uint64_t>(&kept);
  // Who closes does not wait until it is durable.
  file->noflush = 1;
  if (fuse_reply_open(request, file) != 0) fs.volumes.close(kept);
}

void csnap_release(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
  file_system_of(request).volumes.close(file_of(file));
  fuse_reply_err(request, 0);
}

void csnap_read(fuse_req_t request, fuse_ino_t, size_t size, off_t offset, fuse_file_info* file) {
  Volume& volume = *file_of(file).volume;
  const auto at = static_cast<std::uint64_t>(offset);
  const std::uint64_t rest = volume.size() - std::min(volume.size(), at);
  const auto memory = page_memory(std::min<std::uint64_t>(size, rest));
  if (const Status status = volume.read(at, memory); !status.ok())
    return reply_status(request, status);
  fuse_reply_buf(request, reinterpret_cast<const char*>(memory.data()), memory.size());
}

void csnap_write_buf(fuse_req_t request, fuse_ino_t node, fuse_bufvec* source, off_t offset,
                     fuse_file_info* file) {
  FileSystem& fs = file_system_of(request);
  Volume& volume = *file_of(file).volume;
  const auto at = static_cast<std::uint64_t>(offset);
  const std::size_t size = fuse_buf_size(source);
  if (at >= volume.size() || size > volume.size() - at)
    return static_cast<void>(fuse_reply_err(request, EFBIG));
  const auto memory = page_memory(size);
  fuse_bufvec target = FUSE_BUFVEC_INIT(size);
  target.buf[0].mem = memory.data();
  const ssize_t copied = fuse_buf_copy(&target, source, {});
  if (copied < 0) return static_cast<void>(fuse_reply_err(request, static_cast<int>(-copied)));
  const auto data = memory.first(static_cast<std::size_t>(copied));
  if (const Status status = volume.write(at, data); !status.ok())
    return reply_status(request, status);
  fs.volumes.written(volume_of(node));
  fuse_reply_write(request, data.size());
}

void csnap_fsync(fuse_req_t request, fuse_ino_t node, int, fuse_file_info*) {
  reply_status(request, file_system_of(request).volumes.flush(volume_of(node)));
}

void csnap_fallocate(fuse_req_t request, fuse_ino_t node, int mode, off_t offset, off_t length,
                     fuse_file_info* file) {
  FileSystem& fs = file_system_of(request);
  Volume& volume = *file_of(file).volume;
  const auto at = static_cast<std::uint64_t>(offset);
  const std::uint64_t rest = volume.size() - std::min(volume.size(), at);
  const auto count = static_cast<std::uint64_t>(length);
  const int how = mode & ~FALLOC_FL_KEEP_SIZE;
  if (how == FALLOC_FL_PUNCH_HOLE || how == FALLOC_FL_ZERO_RANGE) {
    if (how == FALLOC_FL_ZERO_RANGE && count > rest && (mode & FALLOC_FL_KEEP_SIZE) == 0)
      return static_cast<void>(fuse_reply_err(request, EFBIG));
    const std::uint64_t within = std::min(count, rest);
    Status status;
    if (within > 0)
      status = how == FALLOC_FL_PUNCH_HOLE ? volume.trim(at, within) : volume.zero(at, within);
    if (status.ok()) fs.volumes.written(volume_of(node));
    return reply_status(request, status);
  }
  // Room cannot be set aside: what a write takes is known when it comes.
  fuse_reply_err(request, how == 0 && count > rest ? EFBIG : EOPNOTSUPP);
}

void csnap_lseek(fuse_req_t request, fuse_ino_t node, off_t offset, int whence,
                 fuse_file_info* file) {
  FileSystem& fs = file_system_of(request);
  Volume& volume = *file_of(file).volume;
  const std::uint64_t size = volume.size();
  const auto at = static_cast<std::uint64_t>(offset);
  if (offset < 0 || at >= size) return static_cast<void>(fuse_reply_err(request, ENXIO));
  const bool data = whence == SEEK_DATA;
  if (!data && whence != SEEK_HOLE) return static_cast<void>(fuse_reply_err(request, EINVAL));
  const std::uint64_t id = volume_of(node);
  std::uint64_t found = data ? at : size;  // of the origin all is data
  if (id != kOriginVolume) {
    const auto snapshot = fs.snapshots.find(id);
    if (!snapshot.ok()) return reply_status(request, snapshot.status());
    const auto next = fs.contents.find(*snapshot, volume, data, at);
    if (!next.ok()) return reply_status(request, next.status());
    found = *next;
  }
  if (data && found >= size) return static_cast<void>(fuse_reply_err(request, ENXIO));
  fuse_reply_lseek(request, static_cast<off_t>(found));
}

}  // namespace

void add_file_operations(fuse_lowlevel_ops& operations) {
  operations.open = csnap_open;
  operations.release = csnap_release;
  operations.read = csnap_read;
  operations.write_buf = csnap_write_buf;
  operations.fsync = csnap_fsync;
  operations.fallocate = csnap_fallocate;
  operations.lseek = csnap_lseek;
}

}  // namespace csnap
