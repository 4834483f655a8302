// SPDX-License-Identifier: Apache-2.0
#include "server/session_grants.h"

#include <catch2/catch.hpp>

namespace csnap {
namespace {

WritePiece piece(std::uint64_t chunk, std::uint64_t count, std::uint64_t store,
                 bool provisional = true) {
  return {{Chunk(chunk), count}, StoreChunk(store), provisional};
}
WrittenRun run(std::uint64_t chunk, std::uint64_t count, std::uint64_t store) {
  return {{Chunk(chunk), count}, StoreChunk(store), {}};
}
bool take(SessionGrants& grants, std::vector<WrittenRun> runs) {
  return grants.take(runs);
}

TEST_CASE("A grant is taken whole or in parts, each part once") {
  SessionGrants grants;
  grants.add(1, {{piece(10, 8, 100)}, {}});
  CHECK(take(grants, {run(12, 2, 102)}));
  CHECK_FALSE(take(grants, {run(12, 2, 102)}));
  CHECK_FALSE(take(grants, {run(11, 2, 101)}));
  CHECK(take(grants, {run(10, 2, 100), run(14, 4, 104)}));
  CHECK(grants.places() == 0);
}

TEST_CASE("Places are taken only for the chunks that they were given for") {
  SessionGrants grants;
  grants.add(1, {{piece(10, 4, 100), piece(20, 4, 104)}, {}});
  CHECK_FALSE(take(grants, {run(11, 1, 100)}));
  CHECK_FALSE(take(grants, {run(10, 5, 100)}));
  CHECK_FALSE(take(grants, {run(10, 1, 99)}));
  CHECK_FALSE(take(grants, {run(10, ~0ULL, 100)}));
  CHECK(take(grants, {run(10, 4, 100), run(20, 4, 104)}));
}

TEST_CASE("Nothing is taken when one run of a request is wrong or named twice") {
  SessionGrants grants;
  grants.add(1, {{piece(10, 4, 100)}, {}});
  CHECK_FALSE(take(grants, {run(10, 1, 100), run(30, 1, 300)}));
  CHECK_FALSE(take(grants, {run(10, 2, 100), run(11, 2, 101)}));
  CHECK(take(grants, {run(10, 4, 100)}));
}

TEST_CASE("An answer is kept until any of its places is taken") {
  SessionGrants grants;
  grants.add(1, {{piece(10, 2, 100), piece(12, 2, 50, false)}, {}});
  grants.add(2, {{piece(12, 2, 50, false)}, {}});
  REQUIRE(grants.answer_to(1) != nullptr);
  CHECK(grants.answer_to(1)->pieces.size() == 2);
  CHECK(grants.answer_to(2) == nullptr);
  CHECK(take(grants, {run(11, 1, 101)}));
  CHECK(grants.answer_to(1) == nullptr);
}

TEST_CASE("Spare places are taken for any chunks, once") {
  SessionGrants grants;
  grants.add(1, {{piece(10, 1, 100)}, {StoreChunk(200), 8}});
  CHECK(grants.answer_to(1)->spares.count == 8);
  CHECK_FALSE(take(grants, {run(7, 4, 206)}));
  CHECK(take(grants, {run(7, 2, 203)}));
  CHECK_FALSE(take(grants, {run(9, 1, 204)}));
  CHECK(take(grants, {run(900, 3, 205), run(3, 3, 200)}));
  CHECK(grants.answer_to(1) == nullptr);
  CHECK_FALSE(take(grants, {run(11, 1, 100)}));
  CHECK(take(grants, {run(10, 1, 100)}));
  CHECK(grants.places() == 0);
}

}  // namespace
}  // namespace csnap
