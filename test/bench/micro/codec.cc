// SPDX-License-Identifier: Apache-2.0
// Frames and messages: the bytes of a request made, and read again.
#include <benchmark/benchmark.h>

#include <span>
#include <vector>

#include "proto/convert.h"
#include "proto/frame.h"
#include "proto/plain_ranges.h"
#include "test/bench/micro/load.h"

namespace csnap::bench {
namespace {

constexpr unsigned kRanges = 8;  // of one request
constexpr std::uint64_t kVolume = 1ULL << 28;

template <class Message>
void add_ranges(Message& message) {
  for (unsigned i = 0; i < kRanges; ++i) {
    auto* range = message.add_ranges();
    range->set_start(random_chunk(i));
    range->set_count(1);
  }
}

wire::FinishWrite finish_write() {
  wire::FinishWrite message;
  for (unsigned i = 0; i < kRanges; ++i) {
    auto* run = message.add_runs();
    run->set_start(random_chunk(i));
    run->set_count(1);
    run->set_store_chunk(1000 + i);
    run->add_crcs(i + 1);
  }
  return message;
}

wire::SnapshotWrite snapshot_write() {
  wire::SnapshotWrite message;
  add_ranges(message);
  message.set_overwrite(true);
  return message;
}

wire::UniqueRequest unique_request() {
  wire::UniqueRequest message;
  add_ranges(message);
  return message;
}

template <auto make, wire::MessageType type>
void encode(benchmark::State& state) {
  OutputBuffer out;
  for (auto _ : state) {
    out.clear();
    append_frame(out, type, 0, 1, make());
    benchmark::DoNotOptimize(out.data());
  }
  state.SetItemsProcessed(state.iterations());
}

// Frames as they come from a socket, read(frame) for each.
template <class Read>
void decode(benchmark::State& state, const OutputBuffer& frame, Read read) {
  FrameReader reader;
  for (auto _ : state) {
    reader.feed(frame);
    const auto got = reader.next();
    if (!got.ok() || !got->has_value() || !read(**got)) std::abort();
  }
  state.SetItemsProcessed(state.iterations());
}

template <auto make, wire::MessageType type>
void decode_message(benchmark::State& state) {
  OutputBuffer frame;
  append_frame(frame, type, 0, 1, make());
  decode(state, frame, [](const Frame& got) {
    decltype(make()) message;
    return parse_body(got, message).ok();
  });
}

void decode_empty(benchmark::State& state) {
  OutputBuffer frame;
  append_empty_frame(frame, wire::MESSAGE_UNIQUE, 0, 1);
  decode(state, frame, [](const Frame& got) { return got.header.request_id == 1; });
}

void decode_plain(benchmark::State& state) {
  OutputBuffer frame;
  append_frame(frame, wire::MESSAGE_UNIQUE, 0, 1, unique_request());
  std::vector<ChunkRun> runs;
  decode(state, frame, [&](const Frame& got) {
    if (!plain_ranges(got.body, runs)) return false;
    for (const ChunkRun& run : runs)
      if (!check_range(run.start.value, run.count, kVolume).ok()) return false;
    return true;
  });
}

BENCHMARK(decode_empty)->Name("codec/frame/decode");
BENCHMARK(encode<unique_request, wire::MESSAGE_UNIQUE>)->Name("codec/unique/encode");
BENCHMARK(decode_plain)->Name("codec/unique/decode_plain");
BENCHMARK(decode_message<unique_request, wire::MESSAGE_UNIQUE>)
    ->Name("codec/unique/decode_protobuf");
BENCHMARK(encode<snapshot_write, wire::MESSAGE_SNAPSHOT_WRITE>)
    ->Name("codec/snapshot_write/encode");
BENCHMARK(decode_message<snapshot_write, wire::MESSAGE_SNAPSHOT_WRITE>)
    ->Name("codec/snapshot_write/decode");
BENCHMARK(encode<finish_write, wire::MESSAGE_FINISH_WRITE>)->Name("codec/finish_write/encode");
BENCHMARK(decode_message<finish_write, wire::MESSAGE_FINISH_WRITE>)
    ->Name("codec/finish_write/decode");

}  // namespace
}  // namespace csnap::bench
