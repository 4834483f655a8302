// SPDX-License-Identifier: Apache-2.0
#include "store/device.h"

#include <algorithm>
#include <cstring>

#include "store/aligned_buffer.h"
#include "store/device_request.h"

namespace csnap {
namespace {

// Tools read with one call what may be gigabytes; more than this at a time gains nothing.
constexpr std::size_t kBouncePiece = 1u << 20;

bool aligned_memory(const Device& device, const std::byte* data) {
  return reinterpret_cast<std::uintptr_t>(data) % device.alignment() == 0;
}

}  // namespace

const char* io_kind_name(IoKind kind) {
  switch (kind) {
    case IoKind::read:
      return "read";
    case IoKind::write:
      return "write";
    case IoKind::flush:
      return "flush";
  }
  return "request";
}

std::string describe_request(const std::string& device, IoKind kind, std::uint64_t offset,
                             std::size_t length) {
  if (kind == IoKind::flush) return device + ": flush";
  return device + ": " + io_kind_name(kind) + " of " + std::to_string(length) +
         " bytes at offset " + std::to_string(offset);
}

Status check_request(const Device& device, const IoRequest& request) {
  if (request.kind == IoKind::flush) return Status();
  const auto what = [&] {
    return describe_request(device.name(), request.kind, request.offset, request.data.size());
  };
  if (request.data.empty()) return Status(Code::invalid, what() + ": empty");
  if (request.offset % device.alignment() != 0 || request.data.size() % device.alignment() != 0 ||
      !aligned_memory(device, request.data.data()))
    return Status(Code::invalid, what() + ": not a multiple of " +
                                     std::to_string(device.alignment()) +
                                     " bytes in offset, length and memory address");
  if (request.offset > device.size() || request.data.size() > device.size() - request.offset)
    return Status(Code::out_of_range,
                  what() + ": beyond its end at " + std::to_string(device.size()));
  if (request.kind == IoKind::write && device.read_only())
    return Status(Code::denied, what() + ": opened for reading only");
  return Status();
}

Status Device::transfer(IoKind kind, std::uint64_t offset, std::span<std::byte> data) {
  bool finished = false;
  Status result;
  submit({kind, offset, data, [&](Status status) {
            result = std::move(status);
            finished = true;
          }});
  while (!finished) wait();
  return result;
}

Result<DataExtent> Device::next_data(std::uint64_t offset) {
  return DataExtent{offset, size()};
}

Status Device::punch(std::uint64_t, std::uint64_t) {
  return Status(Code::unsupported, name() + ": has no holes");
}

Status read_sync(Device& device, std::uint64_t offset, std::span<std::byte> data) {
  if (aligned_memory(device, data.data())) return device.transfer(IoKind::read, offset, data);
  AlignedBuffer bounce(std::min(data.size(), kBouncePiece));
  while (!data.empty()) {
    const auto piece = bounce.span().first(std::min(data.size(), kBouncePiece));
    CSNAP_TRY(device.transfer(IoKind::read, offset, piece));
    std::memcpy(data.data(), piece.data(), piece.size());
    data = data.subspan(piece.size());
    offset += piece.size();
  }
  return Status();
}

Status write_sync(Device& device, std::uint64_t offset, std::span<const std::byte> data) {
  // A write does not change the bytes; the span is mutable because requests of both directions
  // are one type.
  if (aligned_memory(device, data.data()))
    return device.transfer(IoKind::write, offset,
                           {const_cast<std::byte*>(data.data()), data.size()});
  AlignedBuffer bounce(std::min(data.size(), kBouncePiece));
  while (!data.empty()) {
    const auto piece = bounce.span().first(std::min(data.size(), kBouncePiece));
    std::memcpy(piece.data(), data.data(), piece.size());
    CSNAP_TRY(device.transfer(IoKind::write, offset, piece));
    data = data.subspan(piece.size());
    offset += piece.size();
  }
  return Status();
}

Status flush_sync(Device& device) {
  return device.transfer(IoKind::flush, 0, {});
}

}  // namespace csnap
