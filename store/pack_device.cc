// SPDX-License-Identifier: Apache-2.0
#include "store/pack_device.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "store/block_format.h"
#include "store/block_tree_layout.h"
#include "store/crc.h"
#include "store/errno_status.h"
#include "store/pack_format.h"
#include "store/superblock.h"

namespace csnap {
namespace {

constexpr std::size_t kFramesKept = 8;

std::uint32_t crc_of(const void* bytes, std::size_t size) {
  return crc32c({static_cast<const std::byte*>(bytes), size});
}

template <class T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

// Where in which frame a run of blocks lies.
struct Place {
  std::uint64_t block;
  std::uint32_t blocks;
  PackSide side;
  std::uint32_t frame;
  std::uint32_t at;  // block of the frame
  std::uint64_t end() const { return block + blocks; }
};

bool before(const Place& a, const Place& b) {
  return std::pair(a.side, a.block) < std::pair(b.side, b.block);
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Status read_file(int fd, const std::string& name, std::uint64_t offset, std::span<std::byte> data) {
  while (!data.empty()) {
    const ssize_t n = ::pread(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_status(errno, "reading " + name);
    if (n == 0) return Status(Code::corrupt, name + " became shorter while it was read");
    data = data.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

}  // namespace

class PackFile::Image {
 public:
  Image(Source source, std::uint64_t size, std::string name)
      : source_(std::move(source)), size_(size), name_(std::move(name)) {}

  Status open() {
    if (size_ < sizeof(PackHeader) + sizeof(PackTrailer)) return bad("it is too short");
    CSNAP_TRY(source_(0, bytes_of(header_)));
    if (std::memcmp(header_.magic, kPackMagic, sizeof header_.magic) != 0)
      return bad("it does not begin as a pack does");
    if (header_.crc.get() != crc_of(&header_, offsetof(PackHeader, crc)))
      return bad("the checksum of its header is wrong");
    if (header_.version.get() != kPackVersion || header_.flags.get() > kPackSeparate)
      return Status(Code::unsupported, name_ + ": a pack of version " +
                                           std::to_string(header_.version.get()) +
                                           ", which this build does not know");
    if (separate() != (header_.metadata_size.get() != 0) ||
        header_.store_size.get() / kBlockSize > kMaxBlocks ||
        header_.metadata_size.get() / kBlockSize > kMaxBlocks)
      return bad("the sizes in its header cannot be");
    std::memcpy(uuid.bytes.data(), header_.uuid, sizeof header_.uuid);
    return read_index();
  }

  bool separate() const { return (header_.flags.get() & kPackSeparate) != 0; }
  std::uint64_t size(PackSide side) const {
    return separate() && side == PackSide::metadata ? header_.metadata_size.get()
                                                    : header_.store_size.get();
  }
  const std::string& name() const { return name_; }

  // REQUIRES: offset and length are multiples of kBlockSize.
  Status read(PackSide side, std::uint64_t offset, std::span<std::byte> data) {
    for (; !data.empty(); data = data.subspan(kBlockSize), offset += kBlockSize) {
      const std::uint64_t block = offset / kBlockSize;
      const Place* place = find(side, block);
      if (!place)
        return Status(Code::io_error,
                      name_ + ": block " + std::to_string(block) + " is not part of the pack");
      CSNAP_ASSIGN(const auto frame, frame_at(place->frame));
      std::memcpy(data.data(), frame.data() + (place->at + block - place->block) * kBlockSize,
                  kBlockSize);
    }
    return {};
  }

  Uuid uuid;
  std::uint64_t blocks = 0;

 private:
  struct Kept {
    std::uint32_t frame;
    std::vector<std::byte> content;
  };

  Status bad(const std::string& what) const {
    return Status(Code::corrupt, name_ + " is no whole pack: " + what);
  }

  Status read_index() {
    PackTrailer trailer{};
    CSNAP_TRY(source_(size_ - sizeof trailer, bytes_of(trailer)));
    if (std::memcmp(trailer.magic, kPackEndMagic, sizeof trailer.magic) != 0 ||
        trailer.crc.get() != crc_of(&trailer, offsetof(PackTrailer, crc)))
      return bad("its end is not there");
    const std::uint64_t end = size_ - sizeof trailer, index = trailer.index.get();
    const std::uint64_t frames = trailer.frames.get(), runs = trailer.runs.get();
    if (index < sizeof(PackHeader) || index > end || frames > size_ / sizeof(PackFrame) ||
        runs > size_ / sizeof(PackRun) ||
        frames * sizeof(PackFrame) + runs * sizeof(PackRun) != end - index)
      return bad("its index is not where it should be");
    if (end - index > kMaxPackIndex)
      return Status(Code::unsupported, name_ + ": the index of the pack is too large");
    frames_.resize(frames);
    std::vector<PackRun> all(runs);
    CSNAP_TRY(source_(index, std::as_writable_bytes(std::span(frames_))));
    CSNAP_TRY(source_(index + frames * sizeof(PackFrame), std::as_writable_bytes(std::span(all))));
    const std::uint32_t crc =
        crc32c_extend(crc32c(std::as_bytes(std::span(frames_))), std::as_bytes(std::span(all)));
    if (crc != trailer.index_crc.get()) return bad("the checksum of its index is wrong");
    return take_runs(all, index);
  }

  Status take_runs(const std::vector<PackRun>& all, std::uint64_t end) {
    std::size_t next = 0;
    places_.reserve(all.size());
    for (std::size_t f = 0; f < frames_.size(); ++f) {
      const PackFrame& frame = frames_[f];
      if (frame.offset.get() > end || frame.length.get() > end - frame.offset.get() ||
          frame.length.get() > ZSTD_compressBound(kPackFrameBlocks * kBlockSize))
        return bad("a frame outside of it");
      std::uint64_t at = 0;
      for (std::uint32_t r = 0; r < frame.runs.get(); ++r, ++next) {
        if (next == all.size()) return bad("a frame without its runs");
        const Place place{all[next].block.get(), all[next].blocks.get(),
                          static_cast<PackSide>(all[next].side.get()),
                          static_cast<std::uint32_t>(f), static_cast<std::uint32_t>(at)};
        CSNAP_TRY(check_place(place));
        at += place.blocks;
        if (at > kPackFrameBlocks) return bad("a frame that is too large");
        places_.push_back(place);
      }
      if (at == 0) return bad("an empty frame");
      frame_blocks_.push_back(static_cast<std::uint32_t>(at));
      blocks += at;
    }
    if (next != all.size()) return bad("runs that are in no frame");
    return {};
  }

  Status check_place(const Place& place) const {
    if (place.side != PackSide::metadata && !(place.side == PackSide::store && separate()))
      return bad("blocks of a device that is not there");
    const std::uint64_t size_blocks = size(place.side) / kBlockSize;
    if (place.blocks == 0 || place.block > size_blocks || place.blocks > size_blocks - place.block)
      return bad("blocks beyond the end of a device");
    if (!places_.empty() &&
        (!before(places_.back(), place) ||
         (places_.back().side == place.side && places_.back().end() > place.block)))
      return bad("blocks in another order, or twice");
    return {};
  }

  const Place* find(PackSide side, std::uint64_t block) const {
    const Place wanted{block, 1, side, 0, 0};
    auto after = std::upper_bound(places_.begin(), places_.end(), wanted, before);
    if (after == places_.begin()) return nullptr;
    const Place& place = *--after;
    return place.side == side && block < place.end() ? &place : nullptr;
  }

  Result<std::span<const std::byte>> frame_at(std::uint32_t number) {
    for (std::size_t i = 0; i < kept_.size(); ++i)
      if (kept_[i].frame == number) {
        if (i > 0)
          std::rotate(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(i),
                      kept_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        return std::span<const std::byte>(kept_.front().content);
      }
    const PackFrame& frame = frames_[number];
    std::vector<std::byte> packed(frame.length.get());
    CSNAP_TRY(source_(frame.offset.get(), packed));
    Kept fresh{number, std::vector<std::byte>(frame_blocks_[number] * kBlockSize)};
    const std::size_t size =
        ZSTD_decompress(fresh.content.data(), fresh.content.size(), packed.data(), packed.size());
    if (ZSTD_isError(size) || size != fresh.content.size() ||
        crc32c(fresh.content) != frame.crc.get())
      return Status(Code::io_error,
                    name_ + ": the pack is damaged at byte " + std::to_string(frame.offset.get()));
    kept_.push_front(std::move(fresh));
    if (kept_.size() > kFramesKept) kept_.pop_back();
    return std::span<const std::byte>(kept_.front().content);
  }

  const Source source_;
  const std::uint64_t size_;
  const std::string name_;
  PackHeader header_{};
  std::vector<PackFrame> frames_;
  std::vector<std::uint32_t> frame_blocks_;
  std::vector<Place> places_;
  std::deque<Kept> kept_;  // the one used last comes first
};

class PackFile::Side : public Device {
 public:
  Side(std::shared_ptr<Image> image, PackSide side) : image_(std::move(image)), side_(side) {}
  ~Side() override { assert(queue_.empty()); }

  const std::string& name() const override { return image_->name(); }
  std::uint64_t size() const override { return image_->size(side_); }
  std::uint32_t alignment() const override { return kBlockSize; }
  bool read_only() const override { return true; }
  void submit(IoRequest request) override { queue_.push_back(std::move(request)); }
  void kick() override {}
  std::size_t poll() override {
    std::size_t delivered = 0;
    for (std::size_t n = queue_.size(); n > 0; --n, ++delivered) {
      const IoRequest request = std::move(queue_.front());
      queue_.pop_front();
      request.done(carry_out(request));
    }
    return delivered;
  }
  std::size_t wait() override { return poll(); }
  std::size_t in_flight() const override { return queue_.size(); }
  Result<std::unique_ptr<Device>> share() override {
    return Status(Code::unsupported, "a pack is read by one thread");
  }

 private:
  Status carry_out(const IoRequest& request) {
    if (request.kind == IoKind::flush) return {};
    if (request.kind == IoKind::write)
      return Status(Code::io_error, name() + " is a pack and cannot be written");
    if (request.offset % kBlockSize != 0 || request.data.size() % kBlockSize != 0)
      return Status(Code::invalid, name() + ": a request that is not aligned");
    if (request.offset > size() || request.data.size() > size() - request.offset)
      return Status(Code::out_of_range, name() + ": beyond the end of the device");
    return image_->read(side_, request.offset, request.data);
  }

  std::shared_ptr<Image> image_;
  const PackSide side_;
  std::deque<IoRequest> queue_;
};

Result<bool> PackFile::is_pack(const std::string& path) {
  CSNAP_ASSIGN(const auto tree, BlockTreePath::parse(path));
  if (tree) return false;
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return errno_status(errno, path);
  std::array<char, sizeof PackHeader::magic> magic{};
  const ssize_t n = ::pread(file.fd, magic.data(), magic.size(), 0);
  return n == static_cast<ssize_t>(magic.size()) &&
         std::memcmp(magic.data(), kPackMagic, magic.size()) == 0;
}

Result<PackFile> PackFile::open(const std::string& path) {
  auto file = std::make_shared<Descriptor>();
  file->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file->fd < 0) return errno_status(errno, path);
  struct stat st {};
  if (::fstat(file->fd, &st) != 0) return errno_status(errno, path);
  return open(
      [file, path](std::uint64_t offset, std::span<std::byte> data) {
        return read_file(file->fd, path, offset, data);
      },
      static_cast<std::uint64_t>(st.st_size), path);
}

Result<PackFile> PackFile::open(Source source, std::uint64_t size, const std::string& name) {
  auto image = std::make_shared<Image>(std::move(source), size, name);
  CSNAP_TRY(image->open());
  return PackFile(std::move(image));
}

const Uuid& PackFile::uuid() const {
  return image_->uuid;
}

std::uint64_t PackFile::blocks() const {
  return image_->blocks;
}

std::unique_ptr<Device> PackFile::store() const {
  return std::make_unique<Side>(image_, image_->separate() ? PackSide::store : PackSide::metadata);
}

std::unique_ptr<Device> PackFile::metadata() const {
  if (!image_->separate()) return nullptr;
  return std::make_unique<Side>(image_, PackSide::metadata);
}

}  // namespace csnap
