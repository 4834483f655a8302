// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/identity.h"

#include <catch2/catch.hpp>

namespace csnap {

TEST_CASE("a token says what was put into it") {
  ResumeToken token{{Uuid{{1, 2, 255}}, 17}, std::nullopt, 123'456'789'012};
  CHECK(ResumeToken::parse(token.to_string()).value() == token);
  token.parent = StreamIdentity{Uuid{{9}}, ~0ull};
  CHECK(ResumeToken::parse(token.to_string()).value() == token);
}

TEST_CASE("a token with any mistake in it is none") {
  const std::string good =
      ResumeToken{{Uuid{{1}}, 17}, StreamIdentity{Uuid{{2}}, 3}, 4096}.to_string();
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] = bad[i] == '0' ? '1' : '0';
    INFO(bad);
    CHECK(ResumeToken::parse(bad).status().code() == Code::invalid);
    CHECK_FALSE(ResumeToken::parse(good.substr(0, i)).ok());
  }
  CHECK_FALSE(ResumeToken::parse(good + "0").ok());
  CHECK_FALSE(ResumeToken::parse(good + " ").ok());
}

}  // namespace csnap
