// SPDX-License-Identifier: Apache-2.0
// What an operation came to. A Status is ok or a code with a sentence a person can act on; a
// Result<T> is a value or such a Status. Neither may be dropped: both are [[nodiscard]].
// An ok Status costs one null pointer; no allocation happens unless something went wrong, and
// none for need_block, which is how a cache miss travels up to the one who can wait for the disk.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace csnap {

enum class Code : std::uint8_t {
  ok,
  need_block,    // a metadata block must be read first; detail() is its address. Never leaves the
                 // server
  invalid,       // the caller asked for something that makes no sense
  out_of_range,  // beyond the end of the volume, store or table
  not_found,
  exists,
  busy,   // in use by somebody else
  stale,  // what it names existed once and never will again
  no_space,
  corrupt,      // bytes on disk or wire fail their checks
  lost,         // was lost to damage; what is there instead says so for ever after
  io_error,     // the device said no
  unsupported,  // a feature or version that this build does not know
  denied,
  unavailable,  // not now: starting, stopping, or the peer is away
  cancelled,
  internal,  // our own mistake
};

// The field's short name for a code, such as "no_space". Static storage.
const char* code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {
    assert(code != Code::ok);
  }
  static Status need_block(std::uint64_t address) {
    Status s;
    s.code_ = Code::need_block;
    s.detail_ = address;
    return s;
  }

  bool ok() const { return code_ == Code::ok; }
  explicit operator bool() const { return ok(); }
  Code code() const { return code_; }
  std::uint64_t detail() const { return detail_; }
  const std::string& message() const { return message_; }
  // "no_space: the store is full: ..." for logs and tools.
  std::string to_string() const;
  // The same failure, said from one level up: "context: message".
  Status with_context(const std::string& context) const;

 private:
  Code code_ = Code::ok;
  std::uint64_t detail_ = 0;
  std::string message_;
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: a value is a result
  Result(Status status) : status_(std::move(status)) {  // NOLINT: so is a failure
    assert(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  // ok when there is a value.
  const Status& status() const { return status_; }
  T& value() & {
    assert(ok());
    return *value_;
  }
  const T& value() const& {
    assert(ok());
    return *value_;
  }
  T&& value() && {
    assert(ok());
    return std::move(*value_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

// Leaves the calling function with the failure, if there is one.
#define CSNAP_TRY(expression)                                                                     \
  do {                                                                                            \
    if (auto csnap_try_status_ = (expression); !csnap_try_status_.ok()) return csnap_try_status_; \
  } while (0)

#define CSNAP_CONCAT_(a, b) a##b
#define CSNAP_CONCAT(a, b) CSNAP_CONCAT_(a, b)
// CSNAP_ASSIGN(auto x, f()): x is the value of f(), or the calling function returns its failure.
#define CSNAP_ASSIGN(declaration, expression) \
  CSNAP_ASSIGN_(CSNAP_CONCAT(csnap_result_, __LINE__), declaration, expression)
#define CSNAP_ASSIGN_(name, declaration, expression) \
  auto name = (expression);                          \
  if (!name.ok()) return name.status();              \
  declaration = std::move(name).value()

}  // namespace csnap
