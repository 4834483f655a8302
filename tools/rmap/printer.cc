// SPDX-License-Identifier: Apache-2.0
#include "tools/rmap/printer.h"

#include <boost/json.hpp>
#include <string_view>

namespace csnap {
namespace {

namespace json = boost::json;

constexpr std::size_t kWriteAtOnce = 1u << 20;
constexpr std::size_t kMostNames = 1u << 16;  // that are kept made
constexpr unsigned kChunkWidth = 12, kCountWidth = 8;

std::string between(const char* what, std::uint64_t from, std::uint64_t to) {
  if (to - from == 1) return std::string(what) + " " + std::to_string(from);
  return std::string(what) + "s " + std::to_string(from) + " to " + std::to_string(to - 1);
}

}  // namespace

// Right-aligned.
void RmapPrinter::number(std::uint64_t n, unsigned width) {
  char digits[32];
  char* const end = digits + sizeof digits;
  char* first = end;
  do {
    *--first = static_cast<char>('0' + n % 10);
    n /= 10;
  } while (n != 0);
  while (static_cast<unsigned>(end - first) < width) *--first = ' ';
  text_.append(first, static_cast<std::size_t>(end - first));
}

const std::string& RmapPrinter::names(ShareMask mask) {
  if (last_names_ != nullptr && last_mask_ == mask) return *last_names_;
  last_mask_ = mask;
  if (names_.size() > kMostNames) names_.clear();
  const auto [place, made] = names_.try_emplace(mask);
  std::string& text = place->second;
  last_names_ = &text;
  if (!made) return text;
  for (unsigned bit = 0; bit < kMaxSnapshots; ++bit) {
    if ((mask >> bit & 1) == 0) continue;
    const std::string name =
        store_.names[bit].empty() ? "bit " + std::to_string(bit) : store_.names[bit];
    if (!text.empty()) text += ", ";
    text += json_ ? json::serialize(json::string(name)) : name;
  }
  return text;
}

void RmapPrinter::snapshots(ShareMask mask) {
  char hex[16];
  for (unsigned i = 0; i < sizeof hex; ++i) hex[i] = "0123456789abcdef"[mask >> (60 - 4 * i) & 15];
  text_ += R"(,"mask":")";
  text_.append(hex, sizeof hex);
  text_ += R"(","snapshots":[)";
  text_ += names(mask);
  text_ += ']';
}

Status RmapPrinter::flush(std::size_t at_least) {
  if (text_.size() < at_least) return {};
  const bool whole = std::fwrite(text_.data(), 1, text_.size(), out_) == text_.size();
  text_.clear();
  if (!whole || (at_least == 0 && std::fflush(out_) != 0))
    return Status(Code::io_error, "standard output cannot be written");
  return {};
}

void RmapPrinter::begin_map() {
  if (json_)
    text_ = R"({"store":")" + store_.uuid.to_string() + R"(","chunk_size":)" +
            std::to_string(store_.geometry.chunk_size) + R"(,"map":[)";
  else
    text_ = " STORE CHUNK     COUNT  WHAT               CHUNK  SNAPSHOTS\n";
}

void RmapPrinter::begin_bad() {
  if (json_)
    text_ = R"({"store":")" + store_.uuid.to_string() + R"(","chunk_size":)" +
            std::to_string(store_.geometry.chunk_size) + R"(,"bad":[)";
}

void RmapPrinter::begin_object() {
  text_ += any_ ? ",\n{" : "\n{";
  any_ = true;
}

Status RmapPrinter::line(const RmapLine& line) {
  const bool data = line.uses == bit_of(StoreUse::data);
  if (json_) {
    begin_object();
    text_ += R"("store_chunk":)";
    number(line.store.start.value);
    text_ += R"(,"count":)";
    number(line.store.count);
    text_ += R"(,"what":")";
    text_ += data ? "data" : use_names(line.uses);
    text_ += '"';
    if (data) {
      text_ += R"(,"chunk":)";
      number(line.chunk.value);
      snapshots(line.mask);
    }
    text_ += '}';
  } else {
    number(line.store.start.value, kChunkWidth);
    number(line.store.count, kCountWidth + 2);
    if (data) {
      text_ += std::string_view("  data      ");
      number(line.chunk.value, kChunkWidth + 2);
      text_ += std::string_view("  ");
      text_ += names(line.mask);
    } else {
      text_ += "  " + use_names(line.uses);
    }
    text_ += '\n';
  }
  return flush(kWriteAtOnce);
}

Status RmapPrinter::line(const Hurt& hurt) {
  const bool data = hurt.use == StoreUse::data;
  const bool tree = hurt.use == StoreUse::tree_leaf || hurt.use == StoreUse::tree_node;
  const std::string what = use_names(bit_of(hurt.use));
  if (json_) {
    begin_object();
    text_ += R"("offset":)" + std::to_string(hurt.store.from) + R"(,"length":)" +
             std::to_string(hurt.store.to - hurt.store.from) + R"(,"what":")" + what + '"';
    if (data)
      text_ += R"(,"volume_offset":)" + std::to_string(hurt.volume) + R"(,"volume_length":)" +
               std::to_string(hurt.length);
    if (tree)
      text_ += R"(,"chunk":)" + std::to_string(hurt.chunks.start.value) + R"(,"count":)" +
               std::to_string(hurt.chunks.count);
    if (data || tree) snapshots(hurt.mask);
    text_ += '}';
  } else {
    any_ = true;
    text_ += between("byte", hurt.store.from, hurt.store.to) + ": " + what;
    if (data && hurt.length > 0)
      text_ += ", " + between("byte", hurt.volume, hurt.volume + hurt.length) + " of " +
               names(hurt.mask);
    if (tree && hurt.chunks.count > 0)
      text_ += ", which leads to " +
               between("chunk", hurt.chunks.start.value, hurt.chunks.end().value) + " of " +
               names(hurt.mask);
    text_ += '\n';
  }
  return flush(kWriteAtOnce);
}

Status RmapPrinter::end(const std::vector<std::string>& damage, const Status& failed) {
  if (json_) {
    text_ += ']';
    json::array list;
    for (const std::string& each : damage) list.emplace_back(each);
    text_ += R"(,"damage":)" + json::serialize(list);
    if (!failed.ok())
      text_ += R"(,"error":)" + json::serialize(json::object{{"code", code_name(failed.code())},
                                                             {"message", failed.message()}});
    text_ += "}\n";
  } else {
    for (const std::string& each : damage) text_ += "damage: " + each + "\n";
  }
  return flush(0);
}

}  // namespace csnap
