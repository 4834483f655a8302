// SPDX-License-Identifier: Apache-2.0
#include "tools/stream/identity.h"

#include <cstring>
#include <vector>

#include "store/crc.h"
#include "store/endian.h"

namespace csnap {
namespace {

constexpr std::string_view kPrefix = "csnap-resume-1-";

struct TokenBytes {
  std::uint8_t uuid[16];
  Le64 ctransid;
  U8 has_parent;
  std::uint8_t parent_uuid[16];
  Le64 parent_ctransid;
  Le64 offset;
  Le32 crc;  // CRC-32C of all before it
};
static_assert(sizeof(TokenBytes) == 61);

Status no_token() {
  return Status(Code::invalid,
                "this is no token that csnap-admin receive gave, or a part of it is missing");
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::uint32_t token_checksum(const TokenBytes& bytes) {
  return crc32c(std::as_bytes(std::span(&bytes, 1)).first(offsetof(TokenBytes, crc)));
}

}  // namespace

std::string ResumeToken::to_string() const {
  TokenBytes bytes{};
  std::memcpy(bytes.uuid, snapshot.uuid.bytes.data(), sizeof bytes.uuid);
  bytes.ctransid.set(snapshot.ctransid);
  if (parent) {
    bytes.has_parent.set(1);
    std::memcpy(bytes.parent_uuid, parent->uuid.bytes.data(), sizeof bytes.parent_uuid);
    bytes.parent_ctransid.set(parent->ctransid);
  }
  bytes.offset.set(offset);
  bytes.crc.set(token_checksum(bytes));
  std::string text(kPrefix);
  for (const std::byte b : std::as_bytes(std::span(&bytes, 1))) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[std::to_integer<unsigned>(b) >> 4];
    text += kDigits[std::to_integer<unsigned>(b) & 15];
  }
  return text;
}

Result<ResumeToken> ResumeToken::parse(std::string_view text) {
  if (text.size() != kPrefix.size() + 2 * sizeof(TokenBytes) || !text.starts_with(kPrefix))
    return no_token();
  text.remove_prefix(kPrefix.size());
  TokenBytes bytes{};
  auto* to = reinterpret_cast<unsigned char*>(&bytes);
  for (; !text.empty(); text.remove_prefix(2)) {
    const int high = hex_value(text[0]), low = hex_value(text[1]);
    if (high < 0 || low < 0) return no_token();
    *to++ = static_cast<unsigned char>(high << 4 | low);
  }
  if (bytes.crc.get() != token_checksum(bytes) || bytes.has_parent.get() > 1) return no_token();
  ResumeToken token;
  std::memcpy(token.snapshot.uuid.bytes.data(), bytes.uuid, sizeof bytes.uuid);
  token.snapshot.ctransid = bytes.ctransid.get();
  if (bytes.has_parent.get() != 0) {
    token.parent.emplace();
    std::memcpy(token.parent->uuid.bytes.data(), bytes.parent_uuid, sizeof bytes.parent_uuid);
    token.parent->ctransid = bytes.parent_ctransid.get();
  }
  token.offset = bytes.offset.get();
  return token;
}

}  // namespace csnap
