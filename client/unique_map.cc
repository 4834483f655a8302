// SPDX-License-Identifier: Apache-2.0
#include "client/unique_map.h"

#include <algorithm>
#include <cassert>

namespace csnap {

namespace {

// The bits [from, to) of a word.
std::uint64_t bits(std::uint64_t from, std::uint64_t to) {
  const std::uint64_t below_to = to == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << to) - 1;
  return below_to & ~((std::uint64_t{1} << from) - 1);
}

}  // namespace

UniqueMap::UniqueMap(std::uint64_t chunks)
    : chunks_(chunks), pieces_((chunks + kPieceBits - 1) / kPieceBits) {}

UniqueMap::~UniqueMap() {
  for (auto& piece : pieces_) delete piece.load();
}

const std::atomic<std::uint64_t>* UniqueMap::word_of(std::uint64_t chunk) const {
  const Piece* piece = pieces_[chunk / kPieceBits].load(std::memory_order_acquire);
  return piece == nullptr ? nullptr : &piece->words[chunk % kPieceBits / kWordBits];
}

bool UniqueMap::test(std::uint64_t chunk) const {
  const auto* word = word_of(chunk);
  return word != nullptr && (word->load() >> (chunk % kWordBits) & 1) != 0;
}

bool UniqueMap::all(ChunkRun run) const {
  assert(run.end().value <= chunks_);
  std::uint64_t at = run.start.value;
  while (at < run.end().value) {
    const std::uint64_t first = at % kWordBits;
    const std::uint64_t last = std::min(kWordBits, first + (run.end().value - at));
    const auto* word = word_of(at);
    if (word == nullptr || (~word->load() & bits(first, last)) != 0) return false;
    at += last - first;
  }
  return true;
}

void UniqueMap::append_missing(ChunkRun run, std::vector<ChunkRun>& out) const {
  bool extend = false;
  for (std::uint64_t c = run.start.value; c < run.end().value; ++c) {
    if (test(c)) {
      extend = false;
    } else if (extend) {
      ++out.back().count;
    } else {
      out.push_back({Chunk(c), 1});
      extend = true;
    }
  }
}

void UniqueMap::set(ChunkRun run) {
  assert(run.end().value <= chunks_);
  std::uint64_t at = run.start.value;
  while (at < run.end().value) {
    auto& slot = pieces_[at / kPieceBits];
    Piece* piece = slot.load(std::memory_order_relaxed);
    if (piece == nullptr) {
      piece = new Piece;
      slot.store(piece, std::memory_order_release);
    }
    const std::uint64_t first = at % kWordBits;
    const std::uint64_t last = std::min(kWordBits, first + (run.end().value - at));
    piece->words[at % kPieceBits / kWordBits].fetch_or(bits(first, last));
    at += last - first;
  }
}

void UniqueMap::clear() {
  for (auto& slot : pieces_) {
    Piece* piece = slot.load(std::memory_order_relaxed);
    if (piece == nullptr) continue;
    for (auto& word : piece->words) word.store(0, std::memory_order_relaxed);
  }
}

}  // namespace csnap
