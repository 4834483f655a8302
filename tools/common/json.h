// SPDX-License-Identifier: Apache-2.0
// JSON as the tools print it with --json: indented by two, keys in the order in which they were put
// in, a newline at the end. Pure.
#pragma once

#include <boost/json.hpp>
#include <string>

namespace csnap {

std::string to_json_text(const boost::json::value& value);

}  // namespace csnap
