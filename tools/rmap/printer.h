// SPDX-License-Identifier: Apache-2.0
// The lines of a map as text and as JSON. There may be a hundred million: made by hand, written in
// large pieces.
// Threading: one thread. Errors: io_error when it cannot be written.
#pragma once

#include <cstdio>
#include <string>
#include <unordered_map>

#include "tools/rmap/bad_sectors.h"
#include "tools/rmap/run.h"

namespace csnap {

class RmapPrinter {
 public:
  RmapPrinter(const RmapStore& store, bool json, std::FILE* out)
      : store_(store), json_(json), out_(out) {}

  void begin_map();
  Status line(const RmapLine& line);
  void begin_bad();
  Status line(const Hurt& hurt);
  // What the tree's damage hides, and the error that ended it, if any.
  Status end(const std::vector<std::string>& damage, const Status& failed);

 private:
  void number(std::uint64_t n, unsigned width = 0);
  void begin_object();
  void snapshots(ShareMask mask);
  // Names of a mask as they are printed; made once.
  const std::string& names(ShareMask mask);
  Status flush(std::size_t at_least);

  const RmapStore& store_;
  const bool json_;
  std::FILE* const out_;
  std::string text_;
  std::unordered_map<ShareMask, std::string> names_;
  ShareMask last_mask_ = 0;  // of last_names_
  const std::string* last_names_ = nullptr;
  bool any_ = false;
};

}  // namespace csnap
