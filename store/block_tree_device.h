// SPDX-License-Identifier: Apache-2.0
// A volume that is kept as one file per page: "tree:DIRECTORY?size=SIZE", the layout of
// nbd-server's treefiles, or with page= one of our own (docs/format/block_tree.md).
//
// Requests are cut into pieces, which a few threads carry out, shared by all queues on one tree;
// transfer() does without them. Data goes through the page cache: direct() is false.
// Threading, ownership, errors: as every Device.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store/block_tree.h"
#include "store/device.h"
#include "store/work_threads.h"

namespace csnap {

class BlockTreeDevice : public Device {
 public:
  static Result<std::unique_ptr<BlockTreeDevice>> open(const BlockTreePath& path, bool read_only);
  ~BlockTreeDevice() override;

  const std::string& name() const override { return tree_->name(); }
  std::uint64_t size() const override { return tree_->size(); }
  std::uint32_t alignment() const override { return BlockTree::kSector; }
  bool read_only() const override { return tree_->read_only(); }
  bool direct() const override { return false; }
  void submit(IoRequest request) override;
  void kick() override;
  std::size_t poll() override;
  std::size_t wait() override;
  std::size_t in_flight() const override { return in_flight_; }
  int event_fd() const override;
  Result<std::unique_ptr<Device>> share() override;
  Status transfer(IoKind kind, std::uint64_t offset, std::span<std::byte> data) override;
  Result<DataExtent> next_data(std::uint64_t offset) override;

 private:
  struct Pending;
  struct Finished;

  BlockTreeDevice(std::shared_ptr<BlockTree> tree, std::shared_ptr<WorkThreads> threads,
                  std::shared_ptr<Finished> finished);
  static Result<std::unique_ptr<BlockTreeDevice>> make(std::shared_ptr<BlockTree> tree,
                                                       std::shared_ptr<WorkThreads> threads);
  void queue(const std::shared_ptr<Pending>& pending, IoKind kind, std::uint64_t offset,
             std::span<std::byte> data);

  const std::shared_ptr<BlockTree> tree_;
  const std::shared_ptr<WorkThreads> threads_;
  const std::shared_ptr<Finished> finished_;  // what the threads tell
  std::vector<WorkThreads::Work> waiting_;    // not yet with the threads
  std::size_t in_flight_ = 0;                 // requests not yet delivered
};

}  // namespace csnap
