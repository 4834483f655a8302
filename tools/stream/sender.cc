// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/sender.h"

#include <algorithm>
#include <future>
#include <utility>

#include "client/volume_data.h"
#include "tools/stream/differences.h"
#include "tools/stream/read_ahead.h"
#include "tools/stream/stream_format.h"
#include "tools/stream/stream_writer.h"

namespace csnap {
namespace {

constexpr std::uint64_t kFileMode = 0600;
constexpr std::uint64_t kPlanned = 1u << 20;  // bytes: smaller holes are not looked for

}  // namespace

StreamIdentity sent_as(const Admin::SnapshotEntry& entry) {
  return entry.received.value_or(StreamIdentity{entry.uuid, entry.transid});
}

Result<std::unique_ptr<Volume>> Sender::open_volume(const Admin::SnapshotEntry& entry) const {
  OpenOptions options;
  options.addresses = options_.addresses;
  options.volume_id = entry.id;
  options.read_only = true;
  options.give_up_after = options_.give_up_after;
  auto volume = Volume::open(options);
  if (!volume.ok()) return volume.status().with_context("snapshot '" + entry.name + "'");
  return volume;
}

Result<std::unique_ptr<Sender>> Sender::prepare(Admin& admin, const SendOptions& options) {
  std::unique_ptr<Sender> sender(new Sender(admin, options));
  CSNAP_TRY(sender->open());
  return sender;
}

Status Sender::open() {
  CSNAP_ASSIGN(list_, admin_.list());
  CSNAP_ASSIGN(snapshot_, admin_.seal(options_.name));
  plan_.identity = sent_as(snapshot_);
  plan_.created_ns = snapshot_.created_ns;
  plan_.volume_size = list_.volume_size;
  // It takes a commit at the server; what differs is found out meanwhile.
  auto opening = std::async(std::launch::async, [&] { return open_volume(snapshot_); });
  CSNAP_TRY(options_.parent.empty() ? check_token() : plan_differences());
  CSNAP_ASSIGN(volume_, opening.get());
  if (options_.parent.empty()) CSNAP_TRY(plan_all());
  CSNAP_TRY(finish_plan());
  if (file_.empty()) file_ = snapshot_.received_path;
  if (file_.empty()) file_ = kVolumeFile;
  return {};
}

// All but large parts that are known to be zeros, which a full stream leaves out.
Status Sender::plan_all() {
  const std::uint64_t unit = std::max(kPlanned, list_.chunk_size);
  const VolumeData contents(*volume_, snapshot_.bit, [this](std::uint64_t from, std::uint32_t n) {
    return admin_.dump(from, n);
  });
  std::uint64_t at = options_.resume ? options_.resume->offset / unit * unit : 0;
  while (at < plan_.volume_size) {
    CSNAP_ASSIGN(const DataExtent data, contents.next(at));
    if (data.start >= plan_.volume_size) break;
    const std::uint64_t start = std::max(at, data.start / unit * unit);
    at = std::min(plan_.volume_size, (data.end + unit - 1) / unit * unit);
    const Chunk first(start / list_.chunk_size), end((at - 1) / list_.chunk_size + 1);
    if (!plan_.runs.empty() && plan_.runs.back().end() == first)
      plan_.runs.back().count += end - first;
    else
      plan_.runs.push_back({first, end - first});
  }
  return {};
}

Status Sender::plan_differences() {
  CSNAP_ASSIGN(const auto parent, admin_.seal(options_.parent));
  if (parent.id == snapshot_.id)
    return Status(Code::invalid, "a snapshot cannot be sent as a change to itself");
  plan_.parent = sent_as(parent);
  if (file_.empty()) {
    file_ = parent.received_path;
    // What comes next is a change to this one and calls the file as it is called here.
    if (!file_.empty() && snapshot_.received_path != file_) renamed_ = snapshot_.received_path;
  }
  CSNAP_TRY(check_token());
  CSNAP_ASSIGN(plan_.runs,
               find_differences(admin_, mask_of_bit(parent.bit), mask_of_bit(snapshot_.bit)));
  // Both were there all the time, so the bits meant them; from here on the parent is not needed.
  return still_as_it_was({parent, snapshot_});
}

Status Sender::finish_plan() {
  const std::uint64_t chunk_size = list_.chunk_size;
  const std::uint64_t chunks = (plan_.volume_size + chunk_size - 1) / chunk_size;
  if (options_.resume) cut_front(options_.resume->offset);
  for (const ChunkRun& run : plan_.runs) {
    if (run.end().value > chunks)
      return Status(Code::corrupt, "the server names exceptions beyond the volume's end");
    plan_.bytes +=
        std::min(run.count * chunk_size, plan_.volume_size - run.start.value * chunk_size);
  }
  return {};
}

Status Sender::check_token() const {
  if (!options_.resume) return {};
  const ResumeToken& token = *options_.resume;
  if (token.snapshot != plan_.identity)
    return Status(Code::stale, "the token is of " + token.snapshot.to_string() + ", and '" +
                                   options_.name + "' is " + plan_.identity.to_string());
  if (token.parent != plan_.parent)
    return Status(Code::stale,
                  token.parent ? "the token is of a stream from " + token.parent->to_string() +
                                     "; name that snapshot with --from"
                               : std::string("the token is of a full stream; leave out --from"));
  if (token.offset > plan_.volume_size)
    return Status(Code::invalid, "the token lies beyond the end of the volume");
  return {};
}

// What lies below the offset is there already.
void Sender::cut_front(std::uint64_t offset) {
  const Chunk first(offset / list_.chunk_size);
  plan_.from = first.value * list_.chunk_size;
  std::erase_if(plan_.runs, [&](const ChunkRun& run) { return run.end() <= first; });
  if (plan_.runs.empty() || plan_.runs.front().start >= first) return;
  ChunkRun& run = plan_.runs.front();
  run = {first, run.end() - first};
}

Status Sender::still_as_it_was(const std::vector<Admin::SnapshotEntry>& entries) {
  CSNAP_ASSIGN(const auto now, admin_.list());
  for (const auto& entry : entries) {
    const auto found = std::ranges::find(now.snapshots, entry.id, &Admin::SnapshotEntry::id);
    if (found == now.snapshots.end() || found->deleting)
      return Status(Code::stale, "'" + entry.name + "' was deleted while it was being sent");
    if (found->written || found->transid != entry.transid)
      return Status(Code::stale, "'" + entry.name + "' was written to while it was being sent");
  }
  return {};
}

Status Sender::send(ByteOutput& output, const ProgressFunction& progress) {
  std::vector<std::byte> bytes;
  StreamWriter writer(bytes);
  writer.header();
  if (options_.resume) {
    writer.snapshot(options_.name, plan_.identity, plan_.identity, plan_.from);
  } else if (plan_.parent) {
    writer.snapshot(options_.name, plan_.identity, *plan_.parent);
  } else {
    writer.subvolume(options_.name, plan_.identity);
    writer.make_directories(file_);
    writer.make_file(file_);
  }
  CSNAP_TRY(output.write(bytes));
  CSNAP_TRY(send_data(output, progress));
  bytes.clear();
  if (!plan_.parent) {
    writer.truncate(file_, plan_.volume_size);
    writer.chmod(file_, kFileMode);
  }
  if (!renamed_.empty()) {
    writer.make_directories(renamed_, file_);
    writer.rename(file_, renamed_);
  }
  writer.utimes(renamed_.empty() ? file_ : renamed_, plan_.created_ns);
  // END makes a snapshot of it: nothing may be doubtful then.
  CSNAP_TRY(volume_->health());
  CSNAP_TRY(still_as_it_was({snapshot_}));
  writer.end();
  CSNAP_TRY(output.write(bytes));
  return output.finish();
}

Status Sender::send_data(ByteOutput& output, const ProgressFunction& progress) {
  using Clock = std::chrono::steady_clock;
  ReadAhead ahead(*volume_, plan_.runs, file_, !plan_.parent);
  auto last = Clock::now();
  for (;;) {
    CSNAP_ASSIGN(const ReadAhead::Window* window, ahead.next());
    if (window == nullptr) return {};
    if (!window->stream.empty()) {
      CSNAP_TRY(output.write(window->stream));
      last = Clock::now();
    } else if (Clock::now() - last >= options_.sign_of_life) {
      CSNAP_TRY(send_sign_of_life(output));
      last = Clock::now();
    }
    data_bytes_ += window->data_bytes;
    progress(window->read_bytes);
  }
}

// What the end says, too.
Status Sender::send_sign_of_life(ByteOutput& output) const {
  std::vector<std::byte> bytes;
  StreamWriter(bytes).utimes(file_, plan_.created_ns);
  CSNAP_TRY(output.write(bytes));
  return output.flush();
}

}  // namespace csnap
