#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace gobuildenv::controllers {

/// A text kept as what differs from another one: the pod.json of 10,000 environments are much
/// alike. Immutable; copies share the base.
class PackedText {
 public:
  PackedText() = default;
  /// The whole text again; empty for a default-made one.
  [[nodiscard]] std::string text() const;

 private:
  friend class TextPacker;
  std::shared_ptr<const std::string> base_;
  std::uint32_t prefix_ = 0;  ///< bytes from the base's beginning
  std::uint32_t suffix_ = 0;  ///< bytes from the base's end
  std::string middle_;        ///< what is between
};

/// Makes PackedTexts against a few texts it has seen. Thread-safe.
class TextPacker {
 public:
  /// `max_bases` texts are remembered; the oldest makes room for one unlike all of them.
  explicit TextPacker(std::size_t max_bases = 8) : max_bases_(max_bases) {}
  PackedText pack(std::string_view text);

 private:
  const std::size_t max_bases_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const std::string>> bases_;
  std::size_t next_ = 0;
};

}  // namespace gobuildenv::controllers
