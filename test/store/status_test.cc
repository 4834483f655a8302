// SPDX-License-Identifier: Apache-2.0
#include "store/status.h"

#include <catch2/catch.hpp>
#include <memory>
#include <set>

using namespace csnap;

namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Status(Code::invalid, std::to_string(n) + " is odd");
  return n / 2;
}

Result<int> quarter(int n) {
  CSNAP_ASSIGN(const int h, half(n));
  CSNAP_ASSIGN(const int q, half(h));
  return q;
}

Status both_even(int a, int b) {
  CSNAP_TRY(half(a).status());
  CSNAP_TRY(half(b).status().with_context("second"));
  return Status();
}

}  // namespace

TEST_CASE("a status is ok until something is wrong") {
  const Status status;
  CHECK(status.ok());
  CHECK(static_cast<bool>(status));
  CHECK(status.code() == Code::ok);
  CHECK(status.to_string() == "ok");
}

TEST_CASE("a failure has a code and a sentence") {
  const Status status(Code::no_space, "the store is full");
  CHECK_FALSE(status.ok());
  CHECK(status.code() == Code::no_space);
  CHECK(status.message() == "the store is full");
  CHECK(status.to_string() == "no_space: the store is full");
}

TEST_CASE("context is put before the sentence, and the code stays") {
  const Status status = Status(Code::corrupt, "bad").with_context("leaf").with_context("store");
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message() == "store: leaf: bad");
  CHECK(Status().with_context("x").ok());
}

TEST_CASE("a missing block is named by its address and takes no context") {
  const Status status = Status::need_block(77).with_context("x");
  CHECK(status.code() == Code::need_block);
  CHECK(status.detail() == 77);
  CHECK(status.message().empty());
  CHECK(status.to_string() == "need_block: 77");
}

TEST_CASE("every code has a name of its own") {
  std::set<std::string> names;
  for (int code = 0; code <= static_cast<int>(Code::internal); ++code)
    names.insert(code_name(static_cast<Code>(code)));
  CHECK(names.size() == static_cast<std::size_t>(Code::internal) + 1);
  CHECK_FALSE(names.contains("unknown"));
  CHECK(std::string(code_name(static_cast<Code>(200))) == "unknown");
}

TEST_CASE("a result is a value or the reason why there is none") {
  const auto good = half(8);
  CHECK(good.ok());
  CHECK(good.status().ok());
  CHECK(good.value() == 4);
  CHECK(*good == 4);
  const auto bad = half(7);
  CHECK_FALSE(bad.ok());
  CHECK(bad.status().code() == Code::invalid);
  CHECK(bad.status().message() == "7 is odd");
}

TEST_CASE("a result carries what can only be moved") {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(5));
  CHECK(**result == 5);
  const std::unique_ptr<int> taken = std::move(result).value();
  CHECK(*taken == 5);
}

TEST_CASE("the macros leave at the first failure") {
  CHECK(quarter(12).value() == 3);
  CHECK(quarter(6).status().message() == "3 is odd");
  CHECK(quarter(5).status().message() == "5 is odd");
  CHECK(both_even(2, 4).ok());
  CHECK(both_even(1, 3).message() == "1 is odd");
  CHECK(both_even(2, 3).message() == "second: 3 is odd");
}
