// SPDX-License-Identifier: Apache-2.0
#include "tools/common/handle.h"

#include <charconv>

namespace csnap {

std::string to_string(const VolumeHandle& handle) {
  return handle.store.to_string() + ":" + std::to_string(handle.id);
}

Result<VolumeHandle> parse_handle(const std::string& text) {
  const Status wrong(Code::invalid,
                     "\"" + text + "\" is no handle: it is UUID:ID, as csnap-admin handle says it");
  const auto colon = text.find(':');
  if (colon == std::string::npos) return wrong;
  const auto store = Uuid::parse(std::string_view(text).substr(0, colon));
  if (!store.ok()) return wrong;
  VolumeHandle handle{*store, 0};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, handle.id);
  if (error != std::errc() || stop != end) return wrong;
  return handle;
}

}  // namespace csnap
