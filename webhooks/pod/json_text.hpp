#pragma once

#include <string>
#include <string_view>

#include "goenv/json_text.hpp"

/// Writing patches as text.
namespace gobuildenv::webhooks {

using goenv::append_json_string;
using goenv::append_key;
using goenv::append_member;

/// Appends one reference token of a JSON pointer (RFC 6901: `~` and `/` escaped), without the
/// leading slash and without JSON escaping.
inline void append_pointer_token(std::string& out, std::string_view token) {
  for (const char c : token) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
}

}  // namespace gobuildenv::webhooks
