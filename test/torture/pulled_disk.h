// SPDX-License-Identifier: Apache-2.0
// A disk that can be pulled while it is in use, and put back: a file on an ext4 of its own, or a
// loop device on such a file. What had been written stays: it is written with direct I/O, and where
// the file system is to be shut down, to blocks that it had given to the file before.
//
// Needs root, and ends with this process: mounts are in a mount namespace of its own.
// Threading: one thread at a time. What goes wrong with the machinery ends the program.
#pragma once

#include <cstdint>
#include <string>

namespace csnap::torture {

// A loop device by number; not bound when this process is gone.
class LoopDevice {
 public:
  explicit LoopDevice(unsigned number);
  ~LoopDevice();
  LoopDevice(const LoopDevice&) = delete;
  LoopDevice& operator=(const LoopDevice&) = delete;

  void attach(const std::string& file, bool direct_io);
  void detach();  // REQUIRES: nobody else has it open
  // Shows only so much of the file; 0: all.
  void limit(std::uint64_t bytes);
  const std::string& path() const { return path_; }

 private:
  const unsigned number_;
  const std::string path_;
  int fd_ = -1;
};

class PulledDisk {
 public:
  // Before anything else, and before there are threads. Why there can be no such disks here; empty
  // when there can.
  static std::string prepare_process();

  enum class Way {
    shut_down,  // every I/O fails with EIO, for ever; who has it open must close it. Not thin
    shrink,     // it has no size: reads find its end, writes no space. Loop devices only
    fill,       // what was never written has no space. Thin disks only
  };
  struct Kind {
    bool block = false;
    bool thin = false;  // space is found when it is written
  };
  static const char* name_of(Way way);

  // folder: for the image; number: of one of two loop devices that it takes.
  PulledDisk(const std::string& folder, const std::string& name, std::uint64_t size, Kind kind,
             unsigned number);
  ~PulledDisk();
  PulledDisk(const PulledDisk&) = delete;
  PulledDisk& operator=(const PulledDisk&) = delete;

  const std::string& name() const { return name_; }
  std::string path() const { return kind_.block ? inner_.path() : file_; }
  bool can(Way way) const {
    return way == Way::shrink ? kind_.block : kind_.thin == (way == Way::fill);
  }
  void pull(Way way);
  void put_back();

 private:
  void mount_it();
  void unmount_it();
  void inflate();

  const std::string name_, image_, mount_point_, file_, balloon_;
  const Kind kind_;
  LoopDevice outer_, inner_;
  bool mounted_ = false;
  Way way_ = Way::shut_down;
};

}  // namespace csnap::torture
