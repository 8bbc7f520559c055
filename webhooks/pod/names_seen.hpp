#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace gobuildenv::webhooks {

/// Names of a list's items, by position. Looked for by a number made of their ends and length, so
/// that hardly a text is compared. A search looks at every name: it is meant for the few that a
/// patch adds, however many the pod has. Texts are views, which must stay valid.
class NamesSeen {
 public:
  void reserve(std::size_t count) { names_.reserve(count); }
  void add(std::string_view text) { names_.push_back({mark_of(text), text}); }
  std::string_view operator[](std::size_t item) const { return names_[item].text; }
  std::size_t size() const { return names_.size(); }

  bool contains(std::string_view text) const {
    const std::uint64_t mark = mark_of(text);
    for (const Name& name : names_) {
      if (name.mark == mark && name.text == text) return true;
    }
    return false;
  }

 private:
  struct Name {
    std::uint64_t mark;
    std::string_view text;
  };

  template <typename Word>
  static std::uint64_t load(const char* from) {
    Word word = 0;
    std::memcpy(&word, from, sizeof word);
    return word;
  }

  static std::uint64_t mark_of(std::string_view text) {
    const char* begin = text.data();
    const std::size_t size = text.size();
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    if (size >= 8) {
      head = load<std::uint64_t>(begin);
      tail = load<std::uint64_t>(begin + size - 8);
    } else if (size >= 4) {
      head = load<std::uint32_t>(begin);
      tail = load<std::uint32_t>(begin + size - 4);
    } else if (size != 0) {
      head = load<std::uint8_t>(begin);
      tail = load<std::uint8_t>(begin + size - 1) << 8U | load<std::uint8_t>(begin + size / 2);
    }
    return head * 0x9E3779B97F4A7C15U ^ tail ^ (std::uint64_t{size} << 56U);
  }

  std::vector<Name> names_;
};

}  // namespace gobuildenv::webhooks
