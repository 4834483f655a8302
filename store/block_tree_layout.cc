// SPDX-License-Identifier: Apache-2.0
#include "store/block_tree_layout.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstdio>
#include <limits>

#include "store/size.h"

namespace csnap {
namespace {

constexpr std::string_view kPrefix = "tree:";
constexpr const char* kForm = "it is tree:DIRECTORY?size=SIZE, and &page=SIZE if wanted";

Status take_setting(std::string_view setting, BlockTreePath& out) {
  const auto equals = setting.find('=');
  const std::string name(setting.substr(0, equals));
  const std::string value(equals == std::string_view::npos ? "" : setting.substr(equals + 1));
  if (name == "writes") {
    if (value != "in-place" && value != "replace")
      return Status(Code::invalid, "writes= is in-place or replace");
    out.writes =
        value == "replace" ? BlockTreePath::Writes::replace : BlockTreePath::Writes::in_place;
    return {};
  }
  if (name != "size" && name != "page")
    return Status(Code::invalid, "there is no setting '" + std::string(setting) + "': " + kForm);
  auto bytes = parse_size(value);
  if (!bytes.ok()) return bytes.status().with_context(name + "=");
  if (*bytes == 0) return Status(Code::invalid, name + "= cannot be 0");
  if (name == "size") {
    out.size = *bytes;
    return {};
  }
  if (!std::has_single_bit(*bytes) || *bytes < kBlockTreePage || *bytes > kLargestTreePage)
    return Status(Code::invalid, "page= must be a power of two from 4K to 4M");
  out.page = static_cast<std::uint32_t>(*bytes);
  return {};
}

std::optional<std::uint64_t> number_after(std::string_view prefix, std::string_view name) {
  constexpr std::size_t kDigits = 4;
  if (name.size() != prefix.size() + kDigits || !name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  if (name.find_first_not_of("0123456789ABCDEF") != std::string_view::npos) return std::nullopt;
  std::uint64_t number = 0;
  std::from_chars(name.data(), name.data() + name.size(), number, 16);
  return number < kTreeFan ? std::optional(number) : std::nullopt;
}

}  // namespace

Result<std::optional<BlockTreePath>> BlockTreePath::parse(const std::string& text) {
  if (!text.starts_with(kPrefix)) return std::optional<BlockTreePath>();
  BlockTreePath path;
  const auto question = text.rfind('?');
  path.directory =
      text.substr(kPrefix.size(),
                  question == std::string::npos ? std::string::npos : question - kPrefix.size());
  if (path.directory.empty()) return Status(Code::invalid, text + ": names no directory: " + kForm);
  if (question == std::string::npos) return std::optional(path);
  std::string_view rest = std::string_view(text).substr(question + 1);
  while (!rest.empty()) {
    const auto setting = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), setting.size() + 1));
    if (Status status = take_setting(setting, path); !status.ok()) return status.with_context(text);
  }
  return std::optional(path);
}

std::string BlockTreePath::to_string() const {
  std::string settings;
  if (size != 0) settings += "&size=" + std::to_string(size);
  if (page != 0 && page != kBlockTreePage) settings += "&page=" + std::to_string(page);
  if (writes != Writes::any)
    settings += std::string("&writes=") + (writes == Writes::replace ? "replace" : "in-place");
  // Without a setting: what follows a question mark in the directory's own name is none.
  if (settings.empty() && directory.find('?') == std::string::npos)
    return std::string(kPrefix) + directory;
  return std::string(kPrefix) + directory + "?" + (settings.empty() ? "" : settings.substr(1));
}

Result<BlockTreeLayout> BlockTreeLayout::make(std::uint64_t size, std::uint32_t page) {
  if (size == 0) return Status(Code::invalid, "a volume of no bytes");
  if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
    return Status(Code::invalid, "no volume can be as large");
  BlockTreeLayout layout;
  layout.size_ = size;
  layout.page_ = page;
  layout.pages_ = (size - 1) / page + 1;
  for (std::uint64_t rest = size; rest >= kTreeFan * page; rest /= kTreeFan) ++layout.levels_;
  return layout;
}

std::string BlockTreeLayout::part(const char* prefix, std::uint64_t page, unsigned level) const {
  std::array<char, 16> text{};
  const auto number = page >> (kTreeFanBits * (levels_ + 1 - level)) & (kTreeFan - 1);
  std::snprintf(text.data(), text.size(), "%s%04X", prefix, static_cast<unsigned>(number));
  return text.data();
}

std::string BlockTreeLayout::directory_of(std::uint64_t page, unsigned level) const {
  std::string path;
  for (unsigned l = 1; l <= level; ++l) path += (l == 1 ? "" : "/") + directory_name(page, l);
  return path;
}

std::string BlockTreeLayout::directory_name(std::uint64_t page, unsigned level) const {
  return part(ours() ? "PART" : "TREE", page, level);
}

std::string BlockTreeLayout::file_name(std::uint64_t page) const {
  return part(ours() ? "PAGE" : "FILE", page, levels_ + 1);
}

std::string BlockTreeLayout::path_of(std::uint64_t page) const {
  return levels_ == 0 ? file_name(page) : directory_of(page) + "/" + file_name(page);
}

std::optional<std::uint64_t> BlockTreeLayout::file_number(std::string_view name) const {
  return number_after(ours() ? "PAGE" : "FILE", name);
}

std::optional<std::uint64_t> BlockTreeLayout::directory_number(std::string_view name) const {
  return number_after(ours() ? "PART" : "TREE", name);
}

}  // namespace csnap
