// SPDX-License-Identifier: Apache-2.0
// Commits onto a device in memory: what the journal itself costs.
#include "journal/journal.h"

#include <benchmark/benchmark.h>

#include <vector>

#include "store/memory_device.h"
#include "test/bench/micro/load.h"

namespace csnap::bench {
namespace {

std::vector<Record> records_of_a_commit() {
  std::vector<Record> records;
  for (std::uint64_t i = 0; i < kBatch; ++i)
    records.emplace_back(
        ExceptionAdded{Chunk{random_chunk(i)}, StoreChunk{i}, mask_of(i), {std::uint32_t(i + 1)}});
  return records;
}

void encode(const std::vector<Record>& records, std::vector<std::byte>& out) {
  out.clear();
  for (const Record& record : records) encode_record(record, out);
}

void report(benchmark::State& state, std::size_t bytes) {
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kBatch));
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes));
}

void encode(benchmark::State& state) {
  const auto records = records_of_a_commit();
  std::vector<std::byte> bytes;
  for (auto _ : state) encode(records, bytes);
  report(state, bytes.size());
}

void decode(benchmark::State& state) {
  std::vector<std::byte> bytes;
  encode(records_of_a_commit(), bytes);
  for (auto _ : state) {
    std::span<const std::byte> rest(bytes);
    while (!rest.empty())
      if (!decode_record(rest).ok()) std::abort();
  }
  report(state, bytes.size());
}

void append(benchmark::State& state) {
  constexpr std::uint64_t kBlocks = 4096;
  MemoryDevice device(std::make_shared<MemoryVolume>("memory", kBlocks * kBlockSize));
  const JournalPosition start{0, Sequence{1}};
  Journal journal(device, {BlockAddress{0}, kBlocks}, Uuid{}, Epoch{1}, start, start);
  const auto records = records_of_a_commit();
  std::vector<std::byte> bytes;
  for (auto _ : state) {
    encode(records, bytes);
    CommitContent content;
    content.records = bytes;
    bool done = false;
    journal.append(content, {}, [&](const Status& status) { done = status.ok(); });
    while (journal.busy()) device.wait();
    if (!done) std::abort();
    journal.set_tail(journal.head());
  }
  report(state, bytes.size());
}

BENCHMARK(encode)->Name("journal/encode");
BENCHMARK(decode)->Name("journal/decode");
BENCHMARK(append)->Name("journal/append");

}  // namespace
}  // namespace csnap::bench
