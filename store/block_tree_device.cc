// SPDX-License-Identifier: Apache-2.0
#include "store/block_tree_device.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <exception>
#include <mutex>
#include <utility>

#include "store/device_request.h"
#include "store/errno_status.h"

namespace csnap {
namespace {

constexpr std::size_t kThreads = 8;
// What one thread does of a request at a time.
constexpr std::uint64_t kPerThread = 64 << 10;

Status do_transfer(BlockTree& tree, IoKind kind, std::uint64_t offset, std::span<std::byte> data) {
  Status status = kind == IoKind::flush  ? tree.flush()
                  : kind == IoKind::read ? tree.read(offset, data)
                                         : tree.write(offset, data);
  if (status.ok()) return status;
  return status.with_context(describe_request(tree.name(), kind, offset, data.size()));
}

}  // namespace

// A request of the submitter.
struct BlockTreeDevice::Pending {
  std::function<void(Status)> done;
  std::atomic<std::size_t> pieces{0};  // that have not finished
  std::mutex mutex;                    // of status
  Status status;                       // the first failure
};

struct BlockTreeDevice::Finished {
  ~Finished() {
    if (event_fd >= 0) ::close(event_fd);
  }
  void add(std::shared_ptr<Pending> pending) {
    const std::lock_guard lock(mutex);
    list.push_back(std::move(pending));
    if (list.size() == 1) ::eventfd_write(event_fd, 1);
  }
  std::vector<std::shared_ptr<Pending>> take() {
    const std::lock_guard lock(mutex);
    eventfd_t ignored;
    ::eventfd_read(event_fd, &ignored);
    return std::exchange(list, {});
  }

  int event_fd = -1;
  std::mutex mutex;
  std::vector<std::shared_ptr<Pending>> list;
};

BlockTreeDevice::BlockTreeDevice(std::shared_ptr<BlockTree> tree,
                                 std::shared_ptr<WorkThreads> threads,
                                 std::shared_ptr<Finished> finished)
    : tree_(std::move(tree)), threads_(std::move(threads)), finished_(std::move(finished)) {}

BlockTreeDevice::~BlockTreeDevice() {
  // As with AioDevice: whoever goes away before its requests made a mistake of ours.
  assert(in_flight_ == 0 || std::uncaught_exceptions() > 0);
}

Result<std::unique_ptr<BlockTreeDevice>> BlockTreeDevice::make(
    std::shared_ptr<BlockTree> tree, std::shared_ptr<WorkThreads> threads) {
  auto finished = std::make_shared<Finished>();
  finished->event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (finished->event_fd < 0) {
    // A process may have only so many; who has some uses them by turns.
    const Code code = errno == EMFILE ? Code::unavailable : Code::io_error;
    return Status(code, tree->name() + ": cannot make an eventfd: " + errno_text(errno));
  }
  return std::unique_ptr<BlockTreeDevice>(
      new BlockTreeDevice(std::move(tree), std::move(threads), std::move(finished)));
}

Result<std::unique_ptr<BlockTreeDevice>> BlockTreeDevice::open(const BlockTreePath& path,
                                                               bool read_only) {
  CSNAP_ASSIGN(auto tree, BlockTree::open(path, read_only));
  return make(std::move(tree), std::make_shared<WorkThreads>(kThreads));
}

Result<std::unique_ptr<Device>> BlockTreeDevice::share() {
  CSNAP_ASSIGN(auto device, make(tree_, threads_));
  return std::unique_ptr<Device>(std::move(device));
}

int BlockTreeDevice::event_fd() const {
  return finished_->event_fd;
}

void BlockTreeDevice::queue(const std::shared_ptr<Pending>& pending, IoKind kind,
                            std::uint64_t offset, std::span<std::byte> data) {
  waiting_.push_back([tree = tree_, finished = finished_, pending, kind, offset, data] {
    Status status = do_transfer(*tree, kind, offset, data);
    if (!status.ok()) {
      const std::lock_guard lock(pending->mutex);
      if (pending->status.ok()) pending->status = std::move(status);
    }
    if (pending->pieces.fetch_sub(1) == 1) finished->add(pending);
  });
}

void BlockTreeDevice::submit(IoRequest request) {
  ++in_flight_;
  auto pending = std::make_shared<Pending>();
  pending->done = std::move(request.done);
  pending->status = check_request(*this, request);
  if (!pending->status.ok()) {
    finished_->add(std::move(pending));
    return;
  }
  if (request.kind == IoKind::flush) {
    pending->pieces = 1;
    queue(pending, request.kind, 0, {});
    return;
  }
  // At multiples of the page, so that no two threads have parts of one.
  const std::uint64_t piece = std::max<std::uint64_t>(kPerThread, tree_->layout().page());
  const std::uint64_t end = request.offset + request.data.size();
  pending->pieces = (end - 1) / piece - request.offset / piece + 1;
  while (!request.data.empty()) {
    const std::size_t length =
        std::min<std::size_t>(request.data.size(), piece - request.offset % piece);
    queue(pending, request.kind, request.offset, request.data.first(length));
    request.data = request.data.subspan(length);
    request.offset += length;
  }
}

void BlockTreeDevice::kick() {
  threads_->add(waiting_);
}

std::size_t BlockTreeDevice::poll() {
  kick();
  const auto finished = finished_->take();
  for (const auto& pending : finished) {
    --in_flight_;
    const std::function<void(Status)> done = std::move(pending->done);
    done(std::move(pending->status));
  }
  kick();
  return finished.size();
}

std::size_t BlockTreeDevice::wait() {
  assert(in_flight_ > 0);
  for (;;) {
    if (const std::size_t delivered = poll(); delivered > 0) return delivered;
    pollfd fd{finished_->event_fd, POLLIN, 0};
    ::poll(&fd, 1, -1);
  }
}

Result<DataExtent> BlockTreeDevice::next_data(std::uint64_t offset) {
  const std::uint64_t page = tree_->layout().page();
  CSNAP_ASSIGN(const auto pages, tree_->next_pages(offset / page));
  return DataExtent{std::min(size(), std::max(offset, pages.first * page)),
                    std::min(size(), pages.end * page)};
}

Status BlockTreeDevice::transfer(IoKind kind, std::uint64_t offset, std::span<std::byte> data) {
  CSNAP_TRY(check_request(*this, {kind, offset, data, nullptr}));
  return do_transfer(*tree_, kind, offset, data);
}

}  // namespace csnap
