#pragma once

#include <simdjson.h>

#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

/// simdjson wants readable bytes behind its input. This parses any text; for .cpp files only.
namespace gobuildenv::kube {

/// Parser and buffer of one thread, reused for texts of a usual object's size; a larger text gets
/// memory of its own, which is freed again. Do not nest calls of with_json() on one thread.
class PaddedJson {
 public:
  /// Calls `use(document, base)`, where `base` is where the copy of the text begins, and gives what
  /// it gives. `use` must not keep views into the document.
  template <class Use>
  static auto with_json(std::string_view text, Use&& use) {
    if (text.size() <= kUsual) {
      thread_local PaddedJson scratch(kUsual);
      return scratch.run(text, std::forward<Use>(use));
    }
    PaddedJson own(text.size());
    return own.run(text, std::forward<Use>(use));
  }

 private:
  static constexpr std::size_t kUsual = 32 * 1024;

  explicit PaddedJson(std::size_t size) : buffer_(size + simdjson::SIMDJSON_PADDING) {}

  template <class Use>
  auto run(std::string_view text, Use&& use) {
    if (!text.empty()) std::memcpy(buffer_.data(), text.data(), text.size());
    auto document = parser_.iterate(buffer_.data(), text.size(), buffer_.size());
    return std::forward<Use>(use)(document, static_cast<const char*>(buffer_.data()));
  }

  std::vector<char> buffer_;
  simdjson::ondemand::parser parser_;
};

}  // namespace gobuildenv::kube
