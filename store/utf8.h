// SPDX-License-Identifier: Apache-2.0
// Is this text that may be shown? Pure.
#pragma once

#include <string_view>

namespace csnap {

// Valid UTF-8 (shortest forms, no surrogates, at most U+10FFFF) without control characters (U+0000
// to U+001F, U+007F to U+009F).
bool is_plain_utf8(std::string_view text);

}  // namespace csnap
