// SPDX-License-Identifier: Apache-2.0
// Dumps that say anything: each line by itself, and the whole of them as a store to be restored.
// What is taken makes a store that is sound.
//   The text of a dump.
#include <string>

#include "server/check.h"
#include "server/restore.h"
#include "test/fuzz/store_rig.h"

using namespace csnap;

namespace {

class TextInput : public DumpInput {
 public:
  explicit TextInput(std::string text) : text_(std::move(text)) {}
  Result<bool> next(std::string& line) override {
    if (at_ >= text_.size()) return false;
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    line = text_.substr(at_, end - at_);
    at_ = end + 1;
    if (line.size() > kMaxDumpLine) return Status(Code::corrupt, "a long line");
    return true;
  }
  Status rewind() override {
    at_ = 0;
    return {};
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

std::string text_of(const DumpLine& line) {
  std::string text;
  std::visit(
      [&](const auto& said) {
        if constexpr (std::is_same_v<std::decay_t<decltype(said)>, DumpException>)
          append_dump_line(said, text);
        else
          text = dump_line(said);
      },
      line);
  return text;
}

// A line that is understood is written so that it is understood the same.
void look_at(const std::string& text) {
  const auto line = parse_dump_line(text);
  if (!line.ok()) return;
  const std::string again = text_of(*line);
  fuzz::require(again.ends_with('\n'), "the end of a line");
  const auto twice = parse_dump_line(std::string_view(again).substr(0, again.size() - 1));
  fuzz::require(twice.ok(), "a line written again", again + twice.status().to_string());
  fuzz::require(*twice == *line, "a line written again is the same", again);
}

}  // namespace

FUZZ_TARGET(dump) {
  const auto bytes = input.rest();
  TextInput text(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  std::string line;
  for (;;) {
    const auto more = text.next(line);
    if (!more.ok() || !*more) break;
    look_at(line);
  }
  fuzz::require_ok(text.rewind(), "going back");
  auto volume = std::make_shared<MemoryVolume>("store", fuzz::kStoreSize);
  MemoryDevice device(volume);
  const Status judged = check_dump(device, nullptr, text);
  fuzz::require(volume->counters().writes == 0, "judging a dump writes nothing");
  fuzz::require_ok(text.rewind(), "going back");
  RestoreOptions options;
  options.cache_bytes = 1u << 20;
  options.holder = "fuzz";
  const auto restored = restore_store(device, nullptr, text, options);
  fuzz::require(judged.ok() == restored.ok(), "a restore is refused as a judgement is",
                judged.to_string() + "; " + restored.status().to_string());
  if (!restored.ok()) {
    fuzz::require(volume->counters().writes == 0, "a refused restore writes nothing");
    return;
  }
  const auto report = check_store(device, nullptr);
  fuzz::require_ok(report.status(), "checking what was restored");
  fuzz::require(!report->damaged(), "what was restored is sound",
                report->findings.empty() ? "" : to_string(report->findings.front()));
}
