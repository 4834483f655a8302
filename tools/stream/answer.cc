// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/answer.h"

#include <boost/json.hpp>
#include <stdexcept>
#include <string_view>

#include "proto/text.h"

namespace csnap {
namespace {

namespace json = boost::json;

// A receiver of another version may know more of them.
Code code_of(std::string_view name) {
  for (int code = 1; code <= static_cast<int>(Code::internal); ++code)
    if (code_name(static_cast<Code>(code)) == name && name != "need_block")
      return static_cast<Code>(code);
  return Code::internal;
}

}  // namespace

Result<StreamAnswer> parse_stream_answer(const std::string& text) {
  StreamAnswer answer;
  try {
    answer.document = json::parse(text).as_object();
    if (const auto* error = answer.document.if_contains("error"))
      answer.status = Status(code_of(std::string_view(error->at("code").as_string())),
                             clean_utf8(error->at("message").as_string(), text.size()));
    else if (!answer.document.contains("snapshots"))
      throw std::invalid_argument("neither an error nor snapshots");
    if (const auto* token = answer.document.if_contains("token")) {
      auto parsed = ResumeToken::parse(std::string_view(token->as_string()));
      if (!parsed.ok()) throw std::invalid_argument(parsed.status().message());
      answer.token = *parsed;
    }
  } catch (const std::exception& error) {
    return Status(Code::corrupt,
                  std::string("the receiver's answer makes no sense: ") + error.what());
  }
  return answer;
}

}  // namespace csnap
