// SPDX-License-Identifier: Apache-2.0
#include "store/uuid.h"

#include <catch2/catch.hpp>
#include <random>

using namespace csnap;

TEST_CASE("a UUID is written in five groups, and read back") {
  const auto uuid = Uuid::parse("00112233-4455-6677-8899-aabbccddeeff");
  REQUIRE(uuid.ok());
  CHECK(uuid->bytes[0] == 0x00);
  CHECK(uuid->bytes[1] == 0x11);
  CHECK(uuid->bytes[15] == 0xFF);
  CHECK(uuid->to_string() == "00112233-4455-6677-8899-aabbccddeeff");
}

TEST_CASE("a UUID may be given in capitals") {
  const auto uuid = Uuid::parse("00112233-4455-6677-8899-AABBCCDDEEFF");
  REQUIRE(uuid.ok());
  CHECK(uuid->to_string() == "00112233-4455-6677-8899-aabbccddeeff");
}

TEST_CASE("what is not a UUID is refused, and quoted") {
  for (const char* text :
       {"", "00112233", "00112233-4455-6677-8899-aabbccddeef",
        "00112233-4455-6677-8899-aabbccddeefff", "00112233-4455-6677-8899-aabbccddeefg",
        "0011223344556677-8899-aabbccddeeff00", "00112233_4455-6677-8899-aabbccddeeff",
        "{0112233-4455-6677-8899-aabbccddeef}", "-0112233-4455-6677-8899-aabbccddeeff"}) {
    INFO(text);
    const auto uuid = Uuid::parse(text);
    REQUIRE_FALSE(uuid.ok());
    CHECK(uuid.status().code() == Code::invalid);
    CHECK(uuid.status().message() == "'" + std::string(text) + "' is not a UUID");
  }
}

TEST_CASE("a random UUID is of version 4 and keeps every other bit it was given") {
  const auto seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 rng(seed);
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t high = rng(), low = rng();
    const Uuid uuid = Uuid::from_random(high, low);
    const std::string text = uuid.to_string();
    REQUIRE(text[14] == '4');
    REQUIRE(std::string("89ab").find(text[19]) != std::string::npos);
    REQUIRE(Uuid::parse(text).value() == uuid);
    REQUIRE_FALSE(Uuid::from_random(high ^ 1, low) == uuid);
    REQUIRE_FALSE(Uuid::from_random(high, low ^ 1) == uuid);
  }
}

TEST_CASE("only the UUID of zeros is nil") {
  CHECK(Uuid().is_nil());
  CHECK_FALSE(Uuid::from_random(0, 0).is_nil());
}
