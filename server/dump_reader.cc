// SPDX-License-Identifier: Apache-2.0
#include "server/dump_reader.h"

#include <bit>
#include <span>
#include <utility>

#include "store/crc.h"
#include "store/replication_codec.h"
#include "store/space.h"
#include "store/superblock_check.h"
#include "store/superblock_format.h"
#include "store/utf8.h"

namespace csnap {
namespace {

// Epochs, sequences and ids grow from here without a thought.
constexpr std::uint64_t kMaxCount = 1ULL << 62;

Status bad(const std::string& what) {
  return Status(Code::corrupt, what);
}

void start_space(SpaceLayout& space, std::uint64_t size, std::uint64_t reserved,
                 std::uint64_t bitmap, unsigned chunk_shift) {
  space.blocks = size / kBlockSize;
  space.chunk_shift = chunk_shift;
  space.bitmap = BlockAddress(bitmap);
  space.bitmap_blocks = bitmap_blocks_for(space.blocks);
  space.reserved = reserved;
  if (space.reserved > space.blocks) return;  // check_superblock() says so
  space.bitmap_ready = bitmap_blocks_for(reserved);
  space.free_blocks = space.blocks - reserved;
  space.free_chunks = space.free_blocks >> (chunk_shift - kBlockShift);
  space.cursor = reserved;
}

Result<Superblock> plan_of(const DumpHeader& h) {
  if (!std::has_single_bit(h.chunk_size) || h.chunk_size < 1ULL << kMinChunkShift ||
      h.chunk_size > 1ULL << kMaxChunkShift)
    return bad("\"chunk_size\" must be a power of two from 4096 to 1048576");
  if (h.label.size() > kMaxLabel || !is_plain_utf8(h.label))
    return bad("\"label\" must be at most 64 bytes without control characters");
  if (h.store_size % kBlockSize != 0 || h.metadata_size % kBlockSize != 0)
    return bad("\"store_size\" and \"metadata_size\" must be multiples of 4096");
  for (const std::uint64_t n : {h.epoch.value, h.sequence.value, h.next_snapshot.value})
    if (n > kMaxCount) return bad("a count that no store has come to");
  if (h.metadata_size == 0 && (h.metadata_reserved != 0 || h.metadata_bitmap != 0))
    return bad("there is no metadata device, but something on it");
  Superblock s;
  s.uuid = h.uuid;
  s.label = h.label;
  s.clean = true;
  s.epoch = h.epoch;
  s.chunk_shift = static_cast<unsigned>(std::countr_zero(h.chunk_size));
  s.origin_size = h.origin_size;
  s.separate_metadata = h.metadata_size != 0;
  if (s.separate_metadata) s.incompatible |= kFeatureSeparateMetadata;
  start_space(s.data, h.store_size, h.data_reserved, h.data_bitmap, s.chunk_shift);
  if (s.separate_metadata)
    start_space(s.metadata, h.metadata_size, h.metadata_reserved, h.metadata_bitmap, kBlockShift);
  s.snapshots = BlockAddress(h.snapshots);
  s.snapshot_blocks = h.snapshot_blocks;
  s.clients = BlockAddress(h.clients);
  s.client_blocks = h.client_blocks;
  s.checksums = BlockAddress(h.checksums);
  s.checksum_blocks = h.checksum_blocks;
  s.journal = BlockAddress(h.journal);
  s.journal_blocks = h.journal_blocks;
  s.next_snapshot = h.next_snapshot;
  s.checkpoint = h.sequence;
  s.tail.sequence = h.sequence + 1;
  if (const Status sound = check_superblock(s); !sound.ok())
    return sound.with_context("the header describes no store");
  return s;
}

}  // namespace

Status DumpReader::at_line(const Status& status) const {
  return status.with_context("line " + std::to_string(number_));
}

Result<bool> DumpReader::read_line() {
  ++number_;
  auto more = input_->next(line_);
  if (!more.ok())
    return more.status().code() == Code::corrupt ? at_line(more.status()) : more.status();
  if (!*more) return false;
  line_ += '\n';
  fingerprint_ = crc32c_extend(fingerprint_, std::as_bytes(std::span(line_)));
  line_.pop_back();
  return true;
}

Result<DumpReader> DumpReader::open(DumpInput& input) {
  DumpReader reader(input);
  CSNAP_ASSIGN(const bool there, reader.read_line());
  if (!there) return bad("the dump is empty");
  if (const Status read = reader.read_header(); !read.ok()) return reader.at_line(read);
  return reader;
}

Status DumpReader::read_header() {
  CSNAP_ASSIGN(DumpLine line, parse_dump_line(line_));
  auto* header = std::get_if<DumpHeader>(&line);
  if (!header) return bad("the dump does not begin with its header");
  header_ = std::move(*header);
  CSNAP_ASSIGN(plan_, plan_of(header_));
  sessions_ = ClientTable(ClientTable::capacity_of(plan_));
  return {};
}

Result<std::optional<DumpException>> DumpReader::next() {
  for (;;) {
    CSNAP_ASSIGN(const bool there, read_line());
    if (!there) return at_line(bad("the dump is cut off: it has no end"));
    auto line = parse_dump_line(line_);
    if (!line.ok()) return at_line(line.status());
    Status taken;
    if (auto* exception = std::get_if<DumpException>(&*line)) {
      taken = take(*exception);
      if (taken.ok()) return std::optional(std::move(*exception));
    } else if (auto* snapshot = std::get_if<Snapshot>(&*line)) {
      taken = take(std::move(*snapshot));
    } else if (const auto* session = std::get_if<ClientEntry>(&*line)) {
      taken = take(*session);
    } else if (const auto* totals = std::get_if<DumpTotals>(&*line)) {
      taken = finish(*totals);
      if (taken.ok()) return std::optional<DumpException>();
    } else {
      taken = bad("a second header");
    }
    if (!taken.ok()) return at_line(taken);
  }
}

Status DumpReader::take(Snapshot snapshot) {
  if (totals_.sessions > 0 || totals_.exceptions > 0)
    return bad("snapshots come before sessions and exceptions");
  if (!snapshots_.all().empty() && snapshots_.all().back().id >= snapshot.id)
    return bad("snapshots must be in the order of their ids");
  if (snapshot.id >= plan_.next_snapshot) return bad("a snapshot id that was not given yet");
  if (snapshot.transid < snapshot.id.value || snapshot.transid >= plan_.next_snapshot.value)
    return bad("\"transid\" cannot be right");
  if (snapshot.received && (snapshot.written || !check_stream_path(snapshot.received->path).ok()))
    return bad("\"received\" cannot be right");
  if (snapshot.deleted_up_to.value > plan_.origin_chunks() ||
      (!snapshot.deleting && snapshot.deleted_up_to.value != 0))
    return bad("\"deleted_up_to\" cannot be right");
  CSNAP_TRY(snapshots_.add(std::move(snapshot)));
  ++totals_.snapshots;
  return {};
}

Status DumpReader::take(const ClientEntry& session) {
  if (totals_.exceptions > 0) return bad("sessions come before exceptions");
  if (session.volume >= plan_.next_snapshot) return bad("a snapshot id that was not given yet");
  for (const StoreRun& pool : session.pools)
    if (pool.count > 0 && (pool.count > UINT32_MAX || pool.start < plan_.first_chunk() ||
                           pool.start.value > plan_.store_chunks() ||
                           pool.count > plan_.store_chunks() - pool.start.value))
      return bad("a pool outside of the store's chunks");
  CSNAP_TRY(sessions_.add(session));
  ++totals_.sessions;
  return {};
}

Status DumpReader::check_masks(const DumpException& exception) {
  if (exception.mask == 0) return bad("an exception for no snapshot");
  const ShareMask active = std::as_const(snapshots_).active(), deleting = snapshots_.deleting();
  if (exception.mask & ~(active | deleting))
    return bad("an exception for a snapshot that is not in the dump");
  if (exception.mask & deleting)
    for (const Snapshot& snapshot : std::as_const(snapshots_).all())
      if (snapshot.deleting && (exception.mask & mask_of_bit(snapshot.bit)) &&
          exception.chunks.start < snapshot.deleted_up_to)
        return bad("an exception for a snapshot whose deletion has passed there");
  return {};
}

Status DumpReader::take(const DumpException& exception) {
  const ChunkRun chunks = exception.chunks;
  if (chunks.count > plan_.origin_chunks() ||
      chunks.start.value > plan_.origin_chunks() - chunks.count)
    return bad("a chunk beyond the end of the origin");
  if (!exception.lost() &&
      (exception.store < plan_.first_chunk() || exception.store.value > plan_.store_chunks() ||
       chunks.count > plan_.store_chunks() - exception.store.value))
    return bad("store chunks that cannot hold data: from " + std::to_string(exception.store.value) +
               " on");
  CSNAP_TRY(check_masks(exception));
  if (totals_.exceptions > 0 && chunks == segment_) {
    if (exception.mask & segment_mask_)
      return bad("a second exception of the same chunks for the same snapshot");
    if (exception.mask <= last_mask_)
      return bad("exceptions of the same chunks must be in the order of their snapshots");
  } else {
    if (chunks.start < segment_.end()) return bad("the order is wrong, or chunks overlap");
    segment_ = chunks;
    segment_mask_ = 0;
  }
  segment_mask_ |= exception.mask;
  last_mask_ = exception.mask;
  ++totals_.exceptions;
  (exception.lost() ? totals_.lost_chunks : totals_.chunks) += chunks.count;
  return {};
}

Status DumpReader::finish(const DumpTotals& told) {
  if (told != totals_) return bad("lines are missing: the numbers at the end do not fit");
  CSNAP_ASSIGN(const bool more, read_line());
  if (more) return bad("there is something after the end");
  return {};
}

}  // namespace csnap
