// SPDX-License-Identifier: Apache-2.0
// A pack, read as the devices it was made of: read-only, of the same size, and a block that is not
// in it is an io_error. The bytes of a pack may be anything; each frame is verified when it is
// read. Threading: a PackFile and all its devices belong to one thread. Nothing blocks but the
// file. Memory: the index, and a few frames.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "store/device.h"
#include "store/uuid.h"

namespace csnap {

class PackFile {
 public:
  // Reads all of data from there in the file, or fails.
  using Source = std::function<Status(std::uint64_t offset, std::span<std::byte> data)>;

  // Does the file begin as a pack does? false also for what is no file of that length.
  static Result<bool> is_pack(const std::string& path);
  // corrupt when it is no pack, or was cut off; unsupported when it is a newer one.
  static Result<PackFile> open(const std::string& path);
  static Result<PackFile> open(Source source, std::uint64_t size, const std::string& name);

  const Uuid& uuid() const;
  std::uint64_t blocks() const;  // in it
  // The device with the store, and that with the metadata: null when it is the same.
  std::unique_ptr<Device> store() const;
  std::unique_ptr<Device> metadata() const;

 private:
  class Image;
  class Side;
  explicit PackFile(std::shared_ptr<Image> image) : image_(std::move(image)) {}
  std::shared_ptr<Image> image_;
};

}  // namespace csnap
