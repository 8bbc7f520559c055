#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

/// Writing JSON text piece by piece, for documents whose shape is known.
namespace gobuildenv::goenv {

/// Appends `text` as a JSON string with quotes (RFC 8259 section 7). `text` is UTF-8.
inline void append_json_string(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += '"';
  std::size_t plain = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        out += "\\u00";
        out += kHex[c >> 4U];
        out += kHex[c & 0xFU];
    }
  }
  out.append(text, plain, text.size() - plain);
  out += '"';
}

/// Appends `"key":` with a comma before it unless the object or list just began.
inline void append_key(std::string& out, std::string_view key) {
  if (!out.empty() && out.back() != '{' && out.back() != '[') out += ',';
  append_json_string(out, key);
  out += ':';
}

/// Appends `"key":"value"`.
inline void append_member(std::string& out, std::string_view key, std::string_view value) {
  append_key(out, key);
  append_json_string(out, value);
}

/// The same unless `value` is empty.
inline void append_nonempty(std::string& out, std::string_view key, std::string_view value) {
  if (!value.empty()) append_member(out, key, value);
}

/// Appends `"key":value`.
inline void append_number(std::string& out, std::string_view key, std::int64_t value) {
  append_key(out, key);
  char digits[20];  // the longest is the least number
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

/// Begins an object in a list, with a comma before it unless the list just began.
inline void begin_item(std::string& out) { out += out.back() == '[' ? "{" : ",{"; }

}  // namespace gobuildenv::goenv
