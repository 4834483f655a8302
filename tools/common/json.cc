// SPDX-License-Identifier: Apache-2.0
#include "tools/common/json.h"

namespace csnap {
namespace {

namespace json = boost::json;

void append(const json::value& value, const std::string& indent, std::string& out);

// The members of an object or array, each on a line of its own.
template <class Members, class AppendMember>
void append_members(const Members& members, const char* brackets, const std::string& indent,
                    std::string& out, AppendMember append_member) {
  out += brackets[0];
  bool first = true;
  for (const auto& member : members) {
    out += (first ? "\n" : ",\n") + indent + "  ";
    append_member(member);
    first = false;
  }
  if (!first) out += "\n" + indent;
  out += brackets[1];
}

void append(const json::value& value, const std::string& indent, std::string& out) {
  if (const auto* object = value.if_object()) {
    append_members(*object, "{}", indent, out, [&](const json::key_value_pair& pair) {
      out += json::serialize(pair.key()) + ": ";
      append(pair.value(), indent + "  ", out);
    });
  } else if (const auto* array = value.if_array()) {
    append_members(*array, "[]", indent, out,
                   [&](const json::value& item) { append(item, indent + "  ", out); });
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

std::string to_json_text(const boost::json::value& value) {
  std::string out;
  append(value, "", out);
  return out + "\n";
}

}  // namespace csnap
