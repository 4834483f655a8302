// SPDX-License-Identifier: Apache-2.0
// What a receiver says at its end to whoever sends from another machine: the JSON document of
// `csnap-admin --json receive`. Pure.
#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>

#include "store/status.h"
#include "tools/stream/identity.h"

namespace csnap {

struct StreamAnswer {
  Status status;
  std::optional<ResumeToken> token;  // after a failure: where to go on
  boost::json::object document;      // as it came
};

// corrupt for what no receiver says.
Result<StreamAnswer> parse_stream_answer(const std::string& text);

}  // namespace csnap
