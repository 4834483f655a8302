// SPDX-License-Identifier: Apache-2.0
// Text from anywhere, made fit for the wire and for logs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace csnap {

// The same text with every byte that is not part of well-formed UTF-8, and every control
// character, replaced by '?'; cut, at the end of a character, to at most max_bytes.
std::string clean_utf8(std::string_view text, std::size_t max_bytes);

}  // namespace csnap
