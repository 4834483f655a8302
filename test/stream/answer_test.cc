// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/answer.h"

#include <catch2/catch.hpp>

namespace csnap {

TEST_CASE("An answer of a receiver that took a stream says so") {
  const auto answer = parse_stream_answer("{\n  \"snapshots\": 1,\n  \"data_bytes\": 7\n}\n");
  REQUIRE(answer.ok());
  CHECK(answer->status.ok());
  CHECK_FALSE(answer->token);
  CHECK(answer->document.at("data_bytes").as_int64() == 7);
}

TEST_CASE("An answer of a receiver that failed says why, and where to go on") {
  ResumeToken token;
  token.snapshot = {Uuid::from_random(1, 2), 7};
  token.offset = 4096;
  const auto answer =
      parse_stream_answer(R"({"error":{"code":"io_error","message":"cut\n\u001b off"},"token":")" +
                          token.to_string() + "\"}");
  REQUIRE(answer.ok());
  CHECK(answer->status.code() == Code::io_error);
  CHECK(answer->status.message() == "cut?? off");
  CHECK(answer->token == token);
}

TEST_CASE("Every code comes back as itself, one that is not known as internal") {
  for (const Code code : {Code::invalid, Code::exists, Code::lost, Code::internal}) {
    const auto answer = parse_stream_answer(std::string(R"({"error":{"code":")") + code_name(code) +
                                            R"(","message":"m"}})");
    REQUIRE(answer.ok());
    CHECK(answer->status.code() == code);
  }
  for (const char* odd : {"ok", "need_block", "newer"}) {
    const auto answer =
        parse_stream_answer(std::string(R"({"error":{"code":")") + odd + R"(","message":"m"}})");
    REQUIRE(answer.ok());
    CHECK(answer->status.code() == Code::internal);
  }
}

TEST_CASE("What no receiver says is refused") {
  for (const char* text :
       {"", "{", "[]", "{}", "7", R"({"error":1})", R"({"error":{"code":"busy"}})",
        R"({"snapshots":1,"token":"x"})", R"({"error":{"code":1,"message":"m"}})"}) {
    INFO(text);
    CHECK(parse_stream_answer(text).status().code() == Code::corrupt);
  }
}

}  // namespace csnap
