#include "kube/list_page.hpp"

#include "kube/padded_json.hpp"

namespace gobuildenv::kube {
namespace {

/// Walks over JSON text without looking into values. Every function gives false at torn text.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  /// Consumes `c` if it is next after space.
  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool at_end() {
    skip_space();
    return at_ == text_.size();
  }

  /// A string with its quotes, escapes as they are.
  bool string(std::string_view& out) {
    skip_space();
    const auto begin = at_;
    if (at_ >= text_.size() || text_[at_] != '"') return false;
    do {
      // One search for a character is several times as fast as one for either of two.
      at_ = text_.find('"', at_ + 1);
      if (at_ == std::string_view::npos) {
        at_ = text_.size();
        return false;
      }
    } while (escaped(at_));
    ++at_;
    out = text_.substr(begin, at_ - begin);
    return true;
  }

  /// Any value; objects and arrays by counting brackets outside strings.
  bool value(std::string_view& out) {
    skip_space();
    const auto begin = at_;
    std::size_t depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        std::string_view ignored;
        if (!string(ignored)) return false;
        if (depth == 0) break;
        continue;
      }
      if (c == '{' || c == '[') {
        ++depth;
      } else if (c == '}' || c == ']') {
        if (depth == 0) break;  // the end of what holds a number or a literal
        if (--depth == 0) {
          ++at_;
          break;
        }
      } else if (depth == 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
        break;
      }
      ++at_;
    }
    out = text_.substr(begin, at_ - begin);
    return depth == 0;
  }

 private:
  /// Whether an odd number of backslashes stands before the quote at `at`. Within a string.
  [[nodiscard]] bool escaped(std::size_t at) const {
    std::size_t first = at;
    while (text_[first - 1] == '\\') --first;  // the string's own quote ends it
    return (at - first) % 2 != 0;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool list_metadata(std::string_view json, ListInfo& info) {
  return PaddedJson::with_json(json, [&](auto& document, const char*) {
    simdjson::ondemand::object object;
    if (document.get_object().get(object) != simdjson::SUCCESS) return false;
    for (auto member : object) {
      std::string_view key;
      if (member.unescaped_key().get(key) != simdjson::SUCCESS) return false;
      std::string* out = nullptr;
      if (key == "resourceVersion") out = &info.resource_version;
      if (key == "continue") out = &info.continue_token;
      if (out == nullptr) continue;
      std::string_view text;
      if (member.value().get_string().get(text) != simdjson::SUCCESS) return false;
      *out = text;
    }
    return true;
  });
}

tl::unexpected<std::string> torn(const char* where) {
  return tl::unexpected(std::string("list: the JSON text is torn or malformed in ") + where);
}

}  // namespace

tl::expected<ListInfo, std::string> split_list(std::string_view body,
                                               const std::function<void(std::string_view)>& item) {
  ListInfo info;
  Scanner scanner(body);
  if (!scanner.take('{')) return torn("its beginning");
  bool first = true;
  while (!scanner.take('}')) {
    if (!first && !scanner.take(',')) return torn("its members");
    first = false;
    std::string_view key;
    std::string_view value;
    if (!scanner.string(key) || !scanner.take(':')) return torn("its members");
    if (key == "\"items\"" && scanner.take('[')) {
      bool first_item = true;
      while (!scanner.take(']')) {
        if (!first_item && !scanner.take(',')) return torn("items");
        first_item = false;
        if (!scanner.value(value) || value.empty()) return torn("items");
        ++info.items;
        item(value);
      }
      continue;
    }
    if (!scanner.value(value) || value.empty()) return torn("its members");
    if (key == "\"metadata\"" && !list_metadata(value, info)) return torn("metadata");
  }
  if (!scanner.at_end()) return torn("its end");
  return info;
}

}  // namespace gobuildenv::kube
