// SPDX-License-Identifier: Apache-2.0
// An example of libcsnap: writes a line of text into a snapshot and reads it back.
//
//   snapshot-notes SNAPSHOT [TEXT]
//
// talks to the server of this machine. The snapshot is made if there is none of that name. The text
// goes to byte 1000 of it: any offset and length will do.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "client/csnap.h"

namespace {

constexpr std::uint64_t kOffset = 1000;
constexpr std::size_t kLength = 64;

csnap::Status make_snapshot_if_missing(const std::string& name) {
  CSNAP_ASSIGN(auto admin, csnap::Admin::connect({}));
  auto created = admin->create(name);
  if (created.ok()) std::printf("made the snapshot %s\n", name.c_str());
  return created.status().code() == csnap::Code::exists ? csnap::Status() : created.status();
}

csnap::Status run(const std::string& name, const std::string& text) {
  CSNAP_TRY(make_snapshot_if_missing(name));
  csnap::OpenOptions options;
  options.volume = name;
  options.read_only = text.empty();
  CSNAP_ASSIGN(auto volume, csnap::Volume::open(options));

  std::vector<std::byte> bytes(kLength);
  if (!text.empty()) {
    std::memcpy(bytes.data(), text.data(), std::min(text.size(), kLength - 1));
    CSNAP_TRY(volume->write(kOffset, bytes));
    CSNAP_TRY(volume->flush());  // durable from here on
  }
  CSNAP_TRY(volume->read(kOffset, bytes));
  bytes.back() = std::byte{0};
  std::printf("%s, %llu bytes, says: %s\n", volume->name().c_str(),
              static_cast<unsigned long long>(volume->size()),
              reinterpret_cast<const char*>(bytes.data()));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "Usage: %s SNAPSHOT [TEXT]\n", argv[0]);
    return 2;
  }
  const csnap::Status status = run(argv[1], argc == 3 ? argv[2] : "");
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  return 1;
}
