// SPDX-License-Identifier: Apache-2.0
#include "tools/rmap/options.h"

#include "tools/common/size.h"

namespace csnap {
namespace {

constexpr std::uint64_t kMaxBadBlock = 1u << 30;

}  // namespace

Status take_rmap_options(const boost::program_options::variables_map& values, RmapRequest& out) {
  if (values.count("bad-sectors") != 0) {
    out.bad_sectors = values["bad-sectors"].as<std::string>();
    if (out.bad_sectors.empty()) return Status(Code::invalid, "--bad-sectors names no file");
  }
  if (values.count("block-size") == 0) return {};
  if (out.bad_sectors.empty()) return Status(Code::invalid, "--block-size goes with --bad-sectors");
  const auto size = parse_size(values["block-size"].as<std::string>());
  if (!size.ok()) return size.status().with_context("--block-size");
  if (*size == 0 || *size > kMaxBadBlock)
    return Status(Code::invalid, "--block-size: it is 1 byte to 1 GiB");
  out.block_size = *size;
  return {};
}

}  // namespace csnap
