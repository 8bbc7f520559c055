#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "crds/yaml.hpp"
#include "crds/yaml_scalar.hpp"
#include "goenv/text.hpp"

namespace gobuildenv::crds {
namespace {

using Json = nlohmann::ordered_json;

/// Code points that YAML does not let stand for themselves, though JSON does.
struct Escape {
  std::string_view bytes;
  std::string_view written;
};
constexpr Escape kEscapes[] = {{"\x7f", "\\x7F"},           {"\xe2\x80\xa8", "\\u2028"},
                               {"\xe2\x80\xa9", "\\u2029"}, {"\xef\xbb\xbf", "\\uFEFF"},
                               {"\xef\xbf\xbe", "\\uFFFE"}, {"\xef\xbf\xbf", "\\uFFFF"}};

/// JSON's double-quoted form is YAML's too, but for a few code points.
std::string double_quoted(const std::string& text) {
  const std::string json = Json(text).dump();
  std::string out;
  for (std::size_t i = 0; i < json.size();) {
    const std::string_view rest = std::string_view(json).substr(i);
    bool escaped = false;
    for (const auto& [bytes, written] : kEscapes) {
      if (!rest.starts_with(bytes)) continue;
      out += written;
      i += bytes.size();
      escaped = true;
      break;
    }
    if (escaped) continue;
    // U+0080 to U+009F: control characters of two bytes.
    if (rest.size() > 1 && rest[0] == '\xc2' && static_cast<unsigned char>(rest[1]) < 0xa0) {
      out += fmt::format("\\x{:02X}", static_cast<unsigned char>(rest[1]));
      i += 2;
      continue;
    }
    out += json[i++];
  }
  return out;
}

/// Whether a text of several lines may be written with "|": it starts with a visible character, and
/// all of it is printable ASCII.
bool fits_literal(const std::string& text) {
  const auto end = text.find('\n');
  if (end == std::string::npos || text.front() == ' ' || text.front() == '\n') return false;
  return goenv::all_of(text, [](char c) { return c == '\n' || (c >= ' ' && c < 0x7f); });
}

std::string literal(const std::string& text, int indent) {
  std::string_view body = text;
  std::string out = "|";
  if (!body.ends_with('\n')) {
    out += '-';
  } else {
    body.remove_suffix(1);
    if (body.ends_with('\n')) out += '+';
  }
  for (const auto line : goenv::split(body, '\n')) {
    out += '\n';
    if (!line.empty()) out += std::string(static_cast<std::size_t>(indent), ' ');
    out += line;
  }
  return out;
}

std::string scalar(const Json& value, int indent) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  if (is_plain_string(text)) return text;
  // A text at the top has no indentation that could set it off.
  if (indent > 0 && fits_literal(text)) return literal(text, indent);
  return double_quoted(text);
}

std::string key_text(const std::string& key) {
  return is_plain_string(key) ? key : double_quoted(key);
}

void write(const Json& value, int indent, bool after_dash, std::string& out);

void write_map(const Json& map, int indent, bool after_dash, std::string& out) {
  bool first = true;
  for (const auto& [key, value] : map.items()) {
    if (!first || !after_dash) out += std::string(static_cast<std::size_t>(indent), ' ');
    first = false;
    out += key_text(key) + ":";
    if (value.is_structured() && !value.empty()) {
      out += '\n';
      // Lists stand at the indentation of their key, as kubectl writes them.
      write(value, value.is_array() ? indent : indent + 2, false, out);
    } else {
      out += ' ' + scalar(value, indent + 2) + '\n';
    }
  }
}

void write(const Json& value, int indent, bool after_dash, std::string& out) {
  if (value.is_object() && !value.empty()) {
    write_map(value, indent, after_dash, out);
  } else if (value.is_array() && !value.empty()) {
    bool first = true;
    for (const auto& item : value) {
      if (!first || !after_dash) out += std::string(static_cast<std::size_t>(indent), ' ');
      first = false;
      out += "- ";
      write(item, indent + 2, true, out);
    }
  } else {
    out += scalar(value, indent) + '\n';
  }
}

}  // namespace

tl::expected<std::string, std::string> json_to_yaml(std::string_view json) {
  const auto value = Json::parse(json, nullptr, false);
  if (value.is_discarded()) return tl::unexpected(std::string("the text is not JSON"));
  std::string out;
  write(value, 0, false, out);
  return out;
}

}  // namespace gobuildenv::crds
