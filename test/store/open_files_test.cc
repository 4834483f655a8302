// SPDX-License-Identifier: Apache-2.0
#include "store/open_files.h"

#include <fcntl.h>

#include <catch2/catch.hpp>

using namespace csnap;

namespace {

OpenFilePtr some_file() {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  return std::make_shared<const OpenFile>(fd);
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("the file that was not used for longest goes, and is closed when nobody has it") {
  OpenFiles files(2);
  files.put(1, some_file());
  files.put(2, some_file());
  const int first = files.get(1)->fd(), second = files.get(2)->fd();
  REQUIRE(files.get(1) != nullptr);
  const OpenFilePtr held = files.get(2);
  REQUIRE(files.get(1) != nullptr);
  files.put(3, some_file());
  CHECK(files.size() == 2);
  CHECK(files.get(2) == nullptr);
  CHECK(is_open(second));
  files.put(4, some_file());
  CHECK(files.get(1) == nullptr);
  CHECK_FALSE(is_open(first));
}

TEST_CASE("a file under a key that is taken replaces the other") {
  OpenFiles files(2);
  files.put(1, some_file());
  const int old = files.get(1)->fd();
  const OpenFilePtr next = some_file();
  files.put(1, next);
  CHECK(files.get(1) == next);
  CHECK(files.size() == 1);
  CHECK_FALSE(is_open(old));
}

TEST_CASE("what is forgotten is not there, and a keeper of none keeps none") {
  OpenFiles files(2);
  files.put(1, some_file());
  files.forget(1);
  files.forget(7);
  CHECK(files.get(1) == nullptr);
  files.put(2, some_file());
  files.clear();
  CHECK(files.size() == 0);
  OpenFiles none(0);
  none.put(1, some_file());
  CHECK(none.get(1) == nullptr);
}
