// SPDX-License-Identifier: Apache-2.0
#include "tools/rmap/run.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>
#include <string_view>

#include "tools/rmap/printer.h"

namespace csnap {
namespace {

// Begin and end, as written.
Result<StoreRun> read_store_range(const std::string& text) {
  const Status wrong(Code::invalid, "\"" + text +
                                        "\" is no range of store chunks: it is BEGIN..END "
                                        "(END not included), or one number");
  const auto read = [](std::string_view digits, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return error == std::errc() && end == digits.data() + digits.size() && out < kMaxChunks;
  };
  std::uint64_t from = 0, to = 0;
  const auto dots = text.find("..");
  if (dots == std::string::npos) {
    if (!read(text, from)) return wrong;
    return StoreRun{StoreChunk(from), 1};
  }
  if (!read(std::string_view(text).substr(0, dots), from) ||
      !read(std::string_view(text).substr(dots + 2), to) || to <= from)
    return wrong;
  return StoreRun{StoreChunk(from), to - from};
}

Result<std::vector<ByteRange>> open_bad_sectors(const RmapRequest& request,
                                                const RmapGeometry& geometry) {
  // What is left of the device behind the last whole chunk.
  const std::uint64_t size = (geometry.store_chunks + 1) * geometry.chunk_size;
  const auto read = [&](std::istream& in) {
    return read_bad_sectors(in, request.block_size, size);
  };
  if (request.bad_sectors == "-") {
    auto bad = read(std::cin);
    return bad.ok() ? std::move(bad) : bad.status().with_context("standard input");
  }
  std::ifstream file(request.bad_sectors);
  if (!file) return Status(Code::io_error, request.bad_sectors + " cannot be opened for reading");
  auto bad = read(file);
  return bad.ok() ? std::move(bad) : bad.status().with_context(request.bad_sectors);
}

}  // namespace

Status check_store_range(const std::string& text) {
  return read_store_range(text).status();
}

Result<StoreRun> parse_store_range(const std::string& text, std::uint64_t store_chunks) {
  if (text.empty()) return StoreRun{StoreChunk(0), store_chunks};
  CSNAP_ASSIGN(const StoreRun run, read_store_range(text));
  if (run.end().value > store_chunks)
    return Status(Code::out_of_range,
                  "the store has " + std::to_string(store_chunks) + " chunks, and " + text +
                      (run.start.value >= store_chunks ? " begins" : " ends") + " behind the last");
  return run;
}

Status run_rmap(RmapSource& source, const RmapStore& store, const RmapRequest& request,
                std::FILE* out, bool& begun) {
  CSNAP_ASSIGN(const StoreRun range, parse_store_range(request.range, store.geometry.store_chunks));
  RmapPrinter printer(store, request.json, out);
  Status outcome;
  if (!request.bad_sectors.empty()) {
    CSNAP_ASSIGN(const auto bad, open_bad_sectors(request, store.geometry));
    CSNAP_ASSIGN(const auto hurt, find_hurt(source, store.geometry, bad));
    begun = true;
    printer.begin_bad();
    for (const Hurt& each : hurt) CSNAP_TRY(printer.line(each));
  } else {
    begun = true;
    printer.begin_map();
    outcome = reverse_map(source, store.geometry, range,
                          [&](const RmapLine& line) { return printer.line(line); });
  }
  const auto damage = source.damage();
  CSNAP_TRY(printer.end(damage, outcome));
  if (outcome.ok() && !damage.empty())
    return Status(Code::corrupt,
                  "the tree is damaged, and what lies below the damage is missing "
                  "here; csnap-check says what is lost");
  return outcome;
}

}  // namespace csnap
