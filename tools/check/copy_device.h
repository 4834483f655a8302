// SPDX-License-Identifier: Apache-2.0
// A device that is not to be written, and a file that takes what is: what was written is read
// back from there, all else from the device. So a repair can be tried on a store that stays as it
// is. Threading: one thread. The devices are the caller's and outlive it.
#pragma once

#include <deque>

#include "server/chunk_set.h"
#include "store/device.h"

namespace csnap {

class CopyDevice : public Device {
 public:
  // copy: at least as large as below.
  CopyDevice(Device& below, Device& copy);

  const std::string& name() const override { return below_.name(); }
  std::uint64_t size() const override { return below_.size(); }
  std::uint32_t alignment() const override;
  bool read_only() const override { return false; }
  void submit(IoRequest request) override;
  void kick() override { below_.kick(); }
  std::size_t poll() override;
  std::size_t wait() override;
  std::size_t in_flight() const override { return below_.in_flight() + queue_.size(); }
  Result<std::unique_ptr<Device>> share() override;

  // Puts these blocks of the device into the copy too, unless they are there.
  Status copy_up(Run<BlockAddress> run);

 private:
  std::size_t carry_out_queue();
  Status carry_out(const IoRequest& request);
  Status read_mixed(const IoRequest& request);

  Device& below_;
  Device& copy_;
  ChunkSet copied_;              // blocks of 4 KiB
  std::deque<IoRequest> queue_;  // what does not simply go below
};

}  // namespace csnap
