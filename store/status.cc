// SPDX-License-Identifier: Apache-2.0
#include "store/status.h"

namespace csnap {

const char* code_name(Code code) {
  switch (code) {
    case Code::ok:
      return "ok";
    case Code::need_block:
      return "need_block";
    case Code::invalid:
      return "invalid";
    case Code::out_of_range:
      return "out_of_range";
    case Code::not_found:
      return "not_found";
    case Code::exists:
      return "exists";
    case Code::busy:
      return "busy";
    case Code::stale:
      return "stale";
    case Code::no_space:
      return "no_space";
    case Code::corrupt:
      return "corrupt";
    case Code::lost:
      return "lost";
    case Code::io_error:
      return "io_error";
    case Code::unsupported:
      return "unsupported";
    case Code::denied:
      return "denied";
    case Code::unavailable:
      return "unavailable";
    case Code::cancelled:
      return "cancelled";
    case Code::internal:
      return "internal";
  }
  return "unknown";
}

std::string Status::to_string() const {
  if (ok()) return "ok";
  if (code_ == Code::need_block) return "need_block: " + std::to_string(detail_);
  return std::string(code_name(code_)) + ": " + message_;
}

Status Status::with_context(const std::string& context) const {
  if (ok() || code_ == Code::need_block) return *this;
  Status s(code_, context + ": " + message_);
  s.detail_ = detail_;
  return s;
}

}  // namespace csnap
