// SPDX-License-Identifier: Apache-2.0
// A send stream: whatever it says, nothing beyond the volume is touched, no path leaves the
// subvolume, and a snapshot is made of a whole stream only.
//   u8 flags. kRaw: the bytes of a stream. Else commands {u8 type, u8 attributes, of each u8 type,
//   u8 length, bytes}, under right checksums, each with a right header before it where one belongs.
#include <cstring>

#include "test/fuzz/target.h"
#include "test/stream/memory_target.h"
#include "tools/stream/stream_writer.h"

using namespace csnap;

namespace {

constexpr unsigned kRaw = 2, kBytewise = 4;
constexpr std::size_t kVolume = 4096;

void put_attribute(fuzz::Input& input, std::vector<std::byte>& out) {
  AttributeHeaderDisk header;
  header.type.set(input.u8());
  const auto bytes = input.bytes(input.u8());
  header.length.set(static_cast<std::uint16_t>(bytes.size()));
  const auto raw = std::as_bytes(std::span(&header, 1));
  out.insert(out.end(), raw.begin(), raw.end());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// A right stream of whatever commands.
std::vector<std::byte> commands(fuzz::Input& input) {
  std::vector<std::byte> out;
  bool begun = false;
  while (!input.empty()) {
    if (!begun) StreamWriter(out).header();
    const std::size_t at = out.size();
    out.resize(at + sizeof(CommandHeaderDisk));
    const unsigned type = input.u8();
    for (unsigned n = input.u8(); n > 0 && !input.empty(); --n) put_attribute(input, out);
    const auto command = std::span(out).subspan(at);
    auto& header = view_as<CommandHeaderDisk>(command);
    header.command.set(static_cast<std::uint16_t>(type));
    header.length.set(static_cast<std::uint32_t>(command.size() - sizeof header));
    header.crc.set(command_checksum(command));
    begun = type != static_cast<unsigned>(CommandType::end);
  }
  return out;
}

class CheckedTarget : public MemoryTarget {
 public:
  CheckedTarget() : MemoryTarget(kVolume) { path = "f"; }
  Status named(const std::string& name) override {
    fuzz::require(!name.empty() && name.size() <= kMaxStreamPath && name.front() != '/' &&
                      name.find('\0') == std::string::npos &&
                      ("/" + name + "/").find("/../") == std::string::npos,
                  "a path below the subvolume", name);
    return MemoryTarget::named(name);
  }
};

}  // namespace

FUZZ_TARGET(stream) {
  const unsigned flags = input.u8();
  std::vector<std::byte> bytes;
  if (flags & kRaw) {
    const auto rest = input.rest();
    bytes.assign(rest.begin(), rest.end());
  } else {
    bytes = commands(input);
  }
  CheckedTarget target;
  StreamApplier applier(target);
  const Status status = apply_stream(bytes, (flags & kBytewise) ? 1 : SIZE_MAX, applier);
  fuzz::require(!target.out_of_bounds, "within the volume");
  fuzz::require(target.snapshots.size() == applier.counts().snapshots, "snapshots are counted");
  if (status.ok()) fuzz::require(!applier.receiving() || bytes.empty(), "ended means ended");
  // The same, cut elsewhere.
  CheckedTarget again;
  StreamApplier other(again);
  const Status second = apply_stream(bytes, 13, other);
  fuzz::require(second.code() == status.code(), "the outcome, however it is cut",
                status.to_string() + " and " + second.to_string());
  fuzz::require(again.content == target.content, "the content, however it is cut");
}
