// SPDX-License-Identifier: Apache-2.0
#include "store/endian.h"

#include <array>
#include <catch2/catch.hpp>
#include <limits>
#include <type_traits>

using namespace csnap;

static_assert(!std::is_convertible_v<Le32, std::uint32_t>);
static_assert(!std::is_convertible_v<std::uint32_t, Le32>);

namespace {

struct Record {
  U8 a;
  Le16 b;
  Le32 c;
  Le48 d;
  Le64 e;
};
static_assert(sizeof(Record) == 21 && alignof(Record) == 1);

template <class T, class V>
void round_trip(V value) {
  T field;
  field.set(value);
  CHECK(field.get() == value);
}

}  // namespace

TEST_CASE("a field gives back what was set, to its limits") {
  for (const std::uint64_t v : {0ULL, 1ULL, 0x7FULL, 0x80ULL, 0xFFULL})
    round_trip<U8>(static_cast<std::uint8_t>(v));
  for (const std::uint64_t v : {0ULL, 0x1234ULL, 0xFFFFULL})
    round_trip<Le16>(static_cast<std::uint16_t>(v));
  for (const std::uint64_t v : {0ULL, 0x12345678ULL, 0xFFFFFFFFULL})
    round_trip<Le32>(static_cast<std::uint32_t>(v));
  for (const std::uint64_t v :
       {std::uint64_t{0}, std::uint64_t{0x123456789ABC}, (std::uint64_t{1} << 48) - 1})
    round_trip<Le48>(v);
  for (const std::uint64_t v : {std::uint64_t{0}, std::numeric_limits<std::uint64_t>::max()})
    round_trip<Le64>(v);
}

TEST_CASE("fields lie little end first, one after the other, wherever they start") {
  std::array<std::byte, 64> bytes{};
  auto& record = view_as<Record>(std::span<std::byte>(bytes).subspan(1));
  record.a.set(0x01);
  record.b.set(0x0302);
  record.c.set(0x07060504);
  record.d.set(0x0D0C0B0A0908);
  record.e.set(0x1514131211100F0E);
  CHECK(bytes[0] == std::byte{0});
  for (std::size_t i = 1; i <= 21; ++i) CHECK(bytes[i] == static_cast<std::byte>(i));
  CHECK(bytes[22] == std::byte{0});
  const auto& same = view_as<Record>(std::span<const std::byte>(bytes).subspan(1));
  CHECK(same.d.get() == 0x0D0C0B0A0908);
}

TEST_CASE("a field of 48 bits keeps the low 48 and touches no other byte") {
  std::array<std::byte, 8> bytes{};
  bytes[6] = std::byte{0x55};
  view_as<Le48>(std::span<std::byte>(bytes)).set(0xFFFFFFFFFFFFFFFF);
  CHECK(view_as<Le48>(std::span<std::byte>(bytes)).get() == 0xFFFFFFFFFFFF);
  CHECK(bytes[6] == std::byte{0x55});
}
