// SPDX-License-Identifier: Apache-2.0
// Reads runs of a volume's chunks on several threads and makes WRITE commands of them, in windows
// that come out in order.
// Threading: next() from one thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "client/csnap.h"
#include "store/aligned_buffer.h"
#include "store/types.h"

namespace csnap {

class ReadAhead {
 public:
  struct Window {
    std::vector<std::byte> stream;  // commands
    std::uint64_t data_bytes = 0;   // in them
    std::uint64_t read_bytes = 0;
  };

  // file: what the commands call the volume. skip_zeros: blocks of 4 KiB that are all zeros get no
  // command.
  ReadAhead(Volume& volume, const std::vector<ChunkRun>& runs, const std::string& file,
            bool skip_zeros);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next window, good until the next call; null: that was all.
  Result<const Window*> next();

 private:
  static constexpr std::size_t kWindowBytes = 2u << 20;
  static constexpr unsigned kThreads = 4;
  static constexpr std::size_t kSlots = 6;

  enum class Phase : std::uint8_t { free, reading, ready };
  struct Slot {
    Phase phase = Phase::free;
    AlignedBuffer buffer;
    std::vector<ReadPart> parts;
    Window window;
    Status status;
  };

  void work();
  bool cut_window(Slot& slot);
  void fill(Slot& slot);
  void encode(Slot& slot, const ReadPart& part) const;

  Volume& volume_;
  const std::vector<ChunkRun>& runs_;
  const std::string file_;
  const bool skip_zeros_;

  std::mutex mutex_;  // of all below, but for the slots that are being read
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  std::uint64_t next_cut_ = 0, next_out_ = 0;  // windows
  std::size_t run_ = 0;                        // where the next window begins
  std::uint64_t in_run_ = 0;                   // chunks of that run that are in windows
  bool all_cut_ = false, stop_ = false, out_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace csnap
