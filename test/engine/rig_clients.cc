// SPDX-License-Identifier: Apache-2.0
// What the rig's clients do with the media, and what the model knows of it.
#include <cstdlib>
#include <cstring>
#include <utility>

#include "store/crc.h"
#include "test/engine/rig.h"

namespace csnap {

ClientKey Rig::client(SnapshotId volume) {
  const auto known = clients_.find(volume);
  if (known != clients_.end()) return known->second;
  Uuid& id = ids_[volume];
  if (id.is_nil()) id = Uuid::from_random(rng_(), rng_());
  bool told = false;
  engine_->open_client(id, volume, Engine::Access::write, [&](Result<ClientKey> key) {
    told = true;
    require(key.ok(), "open_client: " + key.status().to_string());
    clients_[volume] = *key;
  });
  until([&] { return told; });
  engine_->upload_done(clients_.at(volume));
  if (options.client_copies) engine_->offer_copies(clients_.at(volume), {});
  return clients_.at(volume);
}

void Rig::drop_client(SnapshotId volume) {
  const auto known = clients_.find(volume);
  if (known == clients_.end()) return;
  engine_->close_client(known->second);
  clients_.erase(known);
  ids_.erase(volume);
}

void Rig::fill(MemoryVolume& volume, std::uint64_t chunk, std::uint64_t tag) {
  MemoryDevice device(std::shared_ptr<MemoryVolume>(std::shared_ptr<MemoryVolume>(), &volume));
  std::vector<std::uint64_t> words((1u << options.chunk_shift) / 8, tag);
  // Aligned as a device wants it.
  static_assert(alignof(std::max_align_t) >= 8);
  std::unique_ptr<std::byte, void (*)(void*)> memory(
      static_cast<std::byte*>(std::aligned_alloc(4096, words.size() * 8)), std::free);
  std::memcpy(memory.get(), words.data(), words.size() * 8);
  const Status status =
      write_sync(device, chunk << options.chunk_shift, {memory.get(), words.size() * 8});
  require(status.ok(), status.to_string());
}

std::uint64_t Rig::tag_at(const MemoryVolume& volume, std::uint64_t chunk) {
  const auto bytes =
      volume.bytes(chunk << options.chunk_shift, std::size_t{1} << options.chunk_shift);
  std::uint64_t tag = 0;
  std::memcpy(&tag, bytes.data(), 8);
  for (std::size_t at = 8; at < bytes.size(); at += 8)
    if (std::memcmp(bytes.data() + at, &tag, 8) != 0) return ~std::uint64_t{0};
  return tag;
}

void Rig::set_model(SnapshotId volume, ChunkRun run, std::uint64_t tag) {
  auto& tags = model_.at(volume);
  for (Chunk c = run.start; c < run.end(); ++c) {
    tags[c.value] = tag;
    maybe_.erase({volume, c.value});
  }
}

void Rig::write_origin(ChunkRun run, std::uint64_t tag, Told done) {
  engine_->origin_write(client(kOrigin), {run}, [this, run, tag, done](const Status& status) {
    if (status.ok()) {
      for (Chunk c = run.start; c < run.end(); ++c) fill(*origin, c.value, tag);
      set_model(kOrigin, run, tag);
    }
    if (done) done(status);
  });
}

void Rig::write_snapshot(SnapshotId id, ChunkRun run, std::uint64_t tag, bool overwrite,
                         Told caller) {
  const std::uint64_t number = next_write_++;
  writing_[number] = {id, run, tag};
  const Told done = [this, number, caller](const Status& status) {
    // What failed may have been done in part.
    if (!status.ok()) maybe_written(writing_.at(number));
    writing_.erase(number);
    if (caller) caller(status);
  };
  engine_->snapshot_write(client(id), {run}, overwrite,
                          [this, id, run, tag, done](Result<std::vector<WritePiece>> pieces) {
                            if (!pieces.ok()) {
                              if (done) done(pieces.status());
                              return;
                            }
                            finish_overwrite(id, std::move(*pieces), run, tag, done);
                          });
}

void Rig::finish_overwrite(SnapshotId id, std::vector<WritePiece> pieces, ChunkRun run,
                           std::uint64_t tag, Told done) {
  std::vector<WrittenRun> written;
  std::vector<std::byte> chunk(std::size_t{1} << options.chunk_shift);
  for (std::size_t at = 0; at < chunk.size(); at += 8) std::memcpy(chunk.data() + at, &tag, 8);
  std::uint64_t covered = 0;
  for (const auto& piece : pieces) {
    covered += piece.chunks.count;
    for (std::uint64_t i = 0; i < piece.chunks.count; ++i) fill(*store, piece.store.value + i, tag);
    if (piece.provisional)
      written.push_back({piece.chunks, piece.store,
                         std::vector<std::uint32_t>(piece.chunks.count, crc32c(chunk))});
  }
  require(covered == run.count, "the pieces do not cover the range");
  // What is rewritten in place is durable by the client's own flush.
  MemoryDevice device(store);
  require(written.size() == pieces.size() || flush_sync(device).ok(), "flush");
  if (written.empty()) {
    set_model(id, run, tag);
    if (done) done({});
    return;
  }
  todo_.push_back([this, id, run, tag, done, written = std::move(written)] {
    engine_->finish_write(client(id), written, [this, id, run, tag, done](const Status& status) {
      if (status.code() == Code::stale && model_.contains(id)) {
        todo_.push_back([=, this] { write_snapshot(id, run, tag, true, done); });
        return;
      }
      if (status.ok()) set_model(id, run, tag);
      if (done) done(status);
    });
  });
}

void Rig::read_snapshot(SnapshotId id, ChunkRun run, Told done) {
  engine_->snapshot_read(client(id), {run}, [this, id, run, done](Result<ReadGrant> grant) {
    if (!grant.ok()) {
      if (done) done(grant.status());
      return;
    }
    std::uint64_t covered = 0;
    Status sound;
    for (const auto& piece : grant->pieces) {
      for (std::uint64_t i = 0; i < piece.chunks.count; ++i, ++covered) {
        const std::uint64_t chunk = piece.chunks.start.value + i;
        if (!has_checksum(piece, i)) {
          sound = Status(Code::corrupt, "chunk " + std::to_string(chunk) + " has another checksum");
          continue;  // a client delivers nothing of it
        }
        const std::uint64_t tag =
            piece.on_origin ? tag_at(*origin, chunk) : tag_at(*store, piece.store.value + i);
        if (!equals(id, chunk, tag)) ++mismatches_;
      }
    }
    require(covered == run.count, "the pieces do not cover the range");
    todo_.push_back([this, id, read = grant->id] {
      if (clients_.contains(id)) engine_->finish_read(clients_.at(id), read);
    });
    if (done) done(sound);
  });
}

// Has the n-th chunk of the piece the data that the engine says it has?
bool Rig::has_checksum(const ReadPiece& piece, std::uint64_t n) const {
  if (piece.crcs.empty() || piece.crcs[n] == 0) return true;
  const std::uint64_t size = 1ULL << options.chunk_shift;
  return stored_checksum(crc32c(store->bytes((piece.store.value + n) * size, size))) ==
         piece.crcs[n];
}

// Settles what a crash left open by what is found.
bool Rig::equals(SnapshotId id, std::uint64_t chunk, std::uint64_t tag) {
  std::uint64_t& expected = model_.at(id)[chunk];
  if (const auto open = maybe_.find({id, chunk}); open != maybe_.end()) {
    if (open->second.contains(tag)) expected = tag;
    maybe_.erase(open);
  }
  return tag == expected;
}

Status Rig::write_origin_now(ChunkRun run, std::uint64_t tag) {
  Status outcome(Code::internal, "no answer");
  bool told = false;
  write_origin(run, tag, [&](const Status& status) {
    outcome = status;
    told = true;
  });
  until([&] { return told; });
  return outcome;
}

Status Rig::write_snapshot_now(SnapshotId id, ChunkRun run, std::uint64_t tag, bool overwrite) {
  Status outcome(Code::internal, "no answer");
  bool told = false;
  write_snapshot(id, run, tag, overwrite, [&](const Status& status) {
    outcome = status;
    told = true;
  });
  until([&] { return told; });
  return outcome;
}

std::vector<std::uint32_t> Rig::make_copy(const CopyOrder& order) {
  std::vector<std::uint32_t> crcs;
  std::vector<std::byte> chunk(std::size_t{1} << options.chunk_shift);
  for (std::uint64_t i = 0; i < order.to.count; ++i) {
    const std::uint64_t tag = tag_at(order.from_origin ? *origin : *store, order.from + i);
    fill(*store, order.to.start.value + i, tag);
    for (std::size_t at = 0; at < chunk.size(); at += 8) std::memcpy(chunk.data() + at, &tag, 8);
    crcs.push_back(crc32c(chunk));
  }
  return crcs;
}

}  // namespace csnap
