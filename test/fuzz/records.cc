// SPDX-License-Identifier: Apache-2.0
// Records of the journal: what decodes is the only way to write what it says.
//   the bytes of records, back to back.
#include <algorithm>

#include "journal/records.h"
#include "test/fuzz/target.h"

using namespace csnap;

FUZZ_TARGET(records) {
  auto bytes = input.rest();
  while (!bytes.empty()) {
    const auto before = bytes;
    const auto record = decode_record(bytes);
    if (!record.ok()) {
      fuzz::require(record.status().code() == Code::corrupt, "the code of a refusal",
                    record.status().to_string());
      return;
    }
    const std::size_t taken = before.size() - bytes.size();
    fuzz::require(taken > 0 && taken == encoded_size(*record), "the size of a record");
    std::vector<std::byte> again;
    encode_record(*record, again);
    fuzz::require(std::ranges::equal(again, before.first(taken)), "a record's bytes");
    fuzz::require(!to_string(*record).empty(), "a record's text");
  }
}
