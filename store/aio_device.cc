// SPDX-License-Identifier: Apache-2.0
#include "store/aio_device.h"

#include <libaio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <deque>
#include <exception>
#include <utility>
#include <vector>

#include "store/aio_transfer.h"
#include "store/aligned_buffer.h"
#include "store/device_holes.h"
#include "store/flush_thread.h"

namespace csnap {
namespace {

constexpr std::size_t kBatch = 64;  // requests per system call

// A request of the submitter.
struct Pending {
  std::function<void(Status)> done;
  std::size_t pieces = 0;  // that have not finished
  Status status;           // the first failure
};

// A part of it that the kernel sees.
struct Piece {
  iocb control{};
  Pending* pending = nullptr;
  Transfer transfer;
};

// Keeps what was made for the next user: the hot path does not allocate.
template <class T>
class Recycler {
 public:
  T* take() {
    if (free_.empty()) return &all_.emplace_back();
    T* thing = free_.back();
    free_.pop_back();
    *thing = T();
    return thing;
  }
  void give_back(T* thing) { free_.push_back(thing); }

 private:
  std::deque<T> all_;
  std::vector<T*> free_;
};

}  // namespace

class AioDevice::Impl {
 public:
  Impl(std::shared_ptr<DeviceFile> open_file, AioOptions o)
      : file(std::move(open_file)), options(o) {}
  ~Impl();

  Status begin();
  void queue(IoRequest request);
  void queue_piece(Pending* pending, IoKind kind, std::uint64_t offset, std::span<std::byte> data);
  void send();
  bool send_batch();
  void refused(int error);
  void collect();
  void answered(Piece* piece, std::int64_t answer);
  std::size_t deliver();
  void signal() { ::eventfd_write(event_fd, 1); }
  bool stuck() const { return !waiting.empty() && in_kernel == 0; }

  std::shared_ptr<DeviceFile> file;
  AioOptions options;
  io_context_t context = nullptr;
  int event_fd = -1;
  std::unique_ptr<FlushThread> flusher;

  Recycler<Pending> pendings;
  Recycler<Piece> pieces;
  std::deque<Piece*> waiting;     // not yet with the kernel
  std::size_t in_kernel = 0;      // pieces
  std::deque<Pending*> finished;  // not yet delivered
  std::size_t in_flight = 0;      // requests not yet delivered
};

AioDevice::Impl::~Impl() {
  // A submitter that goes away before its requests is a mistake of ours; while an exception passes
  // it is only the second one.
  assert(in_flight == 0 || std::uncaught_exceptions() > 0);
  flusher.reset();
  // Returns when the kernel touches nobody's memory any more.
  if (context != nullptr) ::io_destroy(context);
  if (event_fd >= 0) ::close(event_fd);
}

Status AioDevice::Impl::begin() {
  event_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) return errno_status(errno, file->path + ": cannot make an eventfd");
  const int error = -::io_setup(static_cast<int>(options.queue_depth), &context);
  if (error == 0) return Status();
  context = nullptr;
  const std::string what = file->path + ": cannot set up asynchronous I/O";
  if (error == EAGAIN)
    return Status(Code::unavailable,
                  what + ": the system has no more of it; raise fs.aio-max-nr with sysctl");
  if (error == ENOSYS) return Status(Code::unsupported, what + ": this kernel has none");
  return errno_status(error, what);
}

void AioDevice::Impl::queue_piece(Pending* pending, IoKind kind, std::uint64_t offset,
                                  std::span<std::byte> data) {
  Piece* piece = pieces.take();
  piece->pending = pending;
  piece->transfer.kind = kind;
  piece->transfer.offset = offset;
  piece->transfer.rest = data;
  ++pending->pieces;
  waiting.push_back(piece);
}

void AioDevice::Impl::queue(IoRequest request) {
  Pending* pending = pendings.take();
  pending->done = std::move(request.done);
  if (request.kind == IoKind::flush) {
    queue_piece(pending, request.kind, 0, {});
    return;
  }
  while (!request.data.empty()) {
    const std::size_t n = std::min(request.data.size(), kMaxPiece);
    queue_piece(pending, request.kind, request.offset, request.data.first(n));
    request.data = request.data.subspan(n);
    request.offset += n;
  }
}

void AioDevice::Impl::send() {
  while (!waiting.empty() && in_kernel < options.queue_depth)
    if (!send_batch()) return;
}

// Whether it is worth while to try again at once.
bool AioDevice::Impl::send_batch() {
  std::array<iocb*, kBatch> batch;
  const std::size_t room = std::min(kBatch, options.queue_depth - in_kernel);
  std::size_t n = 0;
  for (; n < room && n < waiting.size(); ++n) {
    Piece* piece = waiting[n];
    const Transfer& transfer = piece->transfer;
    if (transfer.kind == IoKind::flush) {
      if (options.flush_in_thread) break;
      ::io_prep_fdsync(&piece->control, file->fd);
    } else {
      const auto prepare = transfer.kind == IoKind::read ? ::io_prep_pread : ::io_prep_pwrite;
      prepare(&piece->control, file->fd, transfer.rest.data(), transfer.rest.size(),
              static_cast<long long>(transfer.offset));
    }
    ::io_set_eventfd(&piece->control, event_fd);
    piece->control.data = piece;
    batch[n] = &piece->control;
  }
  if (n == 0) {
    refused(EINVAL);
    return true;
  }
  const int sent = ::io_submit(context, static_cast<long>(n), batch.data());
  if (sent == -EINTR) return true;
  if (sent == 0 || sent == -EAGAIN) return false;
  if (sent < 0) {
    refused(-sent);
    return true;
  }
  waiting.erase(waiting.begin(), waiting.begin() + sent);
  in_kernel += static_cast<std::size_t>(sent);
  return true;
}

// The kernel did not take the first that waits.
void AioDevice::Impl::refused(int error) {
  Piece* piece = waiting.front();
  waiting.pop_front();
  ++in_kernel;  // answered() will say that it is there no more
  const bool unknown = error == EINVAL || error == ENOSYS || error == EOPNOTSUPP;
  if (piece->transfer.kind != IoKind::flush || !unknown) {
    answered(piece, -error);
    return;
  }
  options.flush_in_thread = true;
  if (!flusher) flusher = std::make_unique<FlushThread>(file->fd, event_fd);
  flusher->submit(piece);
}

void AioDevice::Impl::answered(Piece* piece, std::int64_t answer) {
  --in_kernel;
  Pending* pending = piece->pending;
  Status why;
  const auto next = piece->transfer.account(file->path, file->alignment, answer, why);
  if (next == Transfer::Next::again) {
    waiting.push_front(piece);
    return;
  }
  if (next == Transfer::Next::failed && pending->status.ok()) pending->status = std::move(why);
  pieces.give_back(piece);
  if (--pending->pieces > 0) return;
  finished.push_back(pending);
}

void AioDevice::Impl::collect() {
  std::array<io_event, kBatch> events;
  timespec no_time{};
  while (in_kernel > 0) {
    const int n =
        ::io_getevents(context, 0, static_cast<long>(events.size()), events.data(), &no_time);
    if (n == -EINTR) continue;
    assert(n >= 0);  // the context is ours: anything else is our mistake
    for (int i = 0; i < n; ++i) {
      const io_event& event = events[static_cast<std::size_t>(i)];
      answered(static_cast<Piece*>(event.data), static_cast<std::int64_t>(event.res));
    }
    if (static_cast<std::size_t>(n) < events.size()) break;
  }
  if (!flusher) return;
  for (const auto& flush : flusher->collect())
    answered(static_cast<Piece*>(flush.token), -flush.error);
}

std::size_t AioDevice::Impl::deliver() {
  std::size_t count = 0;
  // Those that finish while done() runs are left for the next time, so that poll() ends.
  for (std::size_t left = finished.size(); left > 0 && !finished.empty(); --left, ++count) {
    Pending* pending = finished.front();
    finished.pop_front();
    const std::function<void(Status)> done = std::move(pending->done);
    Status status = std::move(pending->status);
    pendings.give_back(pending);
    --in_flight;
    done(std::move(status));
  }
  return count;
}

// -- the public face ------------------------------------------------------------------------------

AioDevice::AioDevice(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AioDevice::~AioDevice() = default;

Result<std::unique_ptr<AioDevice>> AioDevice::open(const std::string& path, AioOptions options) {
  CSNAP_ASSIGN(auto file,
               open_device_file(path, options.read_only, options.direct, options.inspect));
  auto impl = std::make_unique<Impl>(std::move(file), options);
  CSNAP_TRY(impl->begin());
  return std::unique_ptr<AioDevice>(new AioDevice(std::move(impl)));
}

Result<std::unique_ptr<Device>> AioDevice::share() {
  auto impl = std::make_unique<Impl>(impl_->file, impl_->options);
  CSNAP_TRY(impl->begin());
  return std::unique_ptr<Device>(new AioDevice(std::move(impl)));
}

const std::string& AioDevice::name() const {
  return impl_->file->path;
}
std::uint64_t AioDevice::size() const {
  return impl_->file->size;
}
std::uint32_t AioDevice::alignment() const {
  return impl_->file->alignment;
}
bool AioDevice::read_only() const {
  return impl_->file->read_only;
}
bool AioDevice::direct() const {
  return impl_->file->direct;
}
std::size_t AioDevice::in_flight() const {
  return impl_->in_flight;
}
int AioDevice::event_fd() const {
  return impl_->event_fd;
}

void AioDevice::submit(IoRequest request) {
  ++impl_->in_flight;
  Status refused = check_request(*this, request);
  if (refused.ok()) {
    impl_->queue(std::move(request));
    return;
  }
  Pending* pending = impl_->pendings.take();
  pending->done = std::move(request.done);
  pending->status = std::move(refused);
  impl_->finished.push_back(pending);
}

Status AioDevice::transfer(IoKind kind, std::uint64_t offset, std::span<std::byte> data) {
  const DeviceFile& file = *impl_->file;
  CSNAP_TRY(check_request(*this, {kind, offset, data, nullptr}));
  Transfer transfer{kind, offset, data};
  for (;;) {
    const auto position = static_cast<off_t>(transfer.offset);
    ssize_t answer = -1;
    if (kind == IoKind::flush)
      answer = ::fdatasync(file.fd);
    else if (kind == IoKind::read)
      answer = ::pread(file.fd, transfer.rest.data(), transfer.rest.size(), position);
    else
      answer = ::pwrite(file.fd, transfer.rest.data(), transfer.rest.size(), position);
    Status why;
    const auto next =
        transfer.account(file.path, file.alignment, answer < 0 ? -errno : answer, why);
    if (next == Transfer::Next::finished) return {};
    if (next == Transfer::Next::failed) return why;
  }
}

Result<DataExtent> AioDevice::next_data(std::uint64_t offset) {
  return find_data(*impl_->file, offset);
}

bool AioDevice::punches() const {
  return impl_->file->regular && !impl_->file->read_only;
}

Status AioDevice::punch(std::uint64_t offset, std::uint64_t length) {
  Status status = punch_hole(*impl_->file, offset, length);
  if (status.code() != Code::unsupported) return status;
  AlignedBuffer zeros(std::min<std::uint64_t>(length, kMaxPiece));
  for (std::uint64_t done = 0; done < length; done += zeros.size())
    CSNAP_TRY(transfer(IoKind::write, offset + done,
                       zeros.span().first(std::min<std::uint64_t>(zeros.size(), length - done))));
  return {};
}

void AioDevice::kick() {
  impl_->send();
  // The kernel will not wake the owner for what it did not take.
  if (impl_->stuck() || !impl_->finished.empty()) impl_->signal();
}

std::size_t AioDevice::poll() {
  // Reset before looking: what arrives after the look signals again.
  eventfd_t ignored;
  ::eventfd_read(impl_->event_fd, &ignored);
  impl_->send();
  impl_->collect();
  const std::size_t delivered = impl_->deliver();
  kick();
  return delivered;
}

std::size_t AioDevice::wait() {
  assert(in_flight() > 0);
  for (;;) {
    if (const std::size_t delivered = poll(); delivered > 0) return delivered;
    if (impl_->stuck()) {
      ::poll(nullptr, 0, 1);  // the kernel is out of memory for requests: give it a moment
      continue;
    }
    pollfd fd{impl_->event_fd, POLLIN, 0};
    ::poll(&fd, 1, -1);
  }
}

}  // namespace csnap
