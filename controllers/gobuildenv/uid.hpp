#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace gobuildenv::controllers {

/// An object's uid in 16 bytes: the value of a UUID, a digest of anything else. All zero: none.
struct Uid {
  std::array<std::uint8_t, 16> bytes{};

  static Uid of(std::string_view text);
  [[nodiscard]] bool empty() const { return *this == Uid{}; }
  friend bool operator==(const Uid&, const Uid&) = default;
};

}  // namespace gobuildenv::controllers
