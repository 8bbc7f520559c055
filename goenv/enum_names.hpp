#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "goenv/spec.hpp"

/// The API's spelling of every enumeration of the spec: `enum_name(CgoPolicy::Auto)` is "Auto",
/// `enum_value<CgoPolicy>("Auto")` the way back, empty for a spelling the API does not know.
namespace gobuildenv::goenv {

template <class E>
struct EnumNames;

template <>
struct EnumNames<Delivery> {
  static constexpr std::array kNames{std::pair{Delivery::Volume, std::string_view{"Volume"}},
                                     std::pair{Delivery::Download, std::string_view{"Download"}}};
};
template <>
struct EnumNames<Switching> {
  static constexpr std::array kNames{
      std::pair{Switching::Pinned, std::string_view{"Pinned"}},
      std::pair{Switching::AllowNewer, std::string_view{"AllowNewer"}}};
};
template <>
struct EnumNames<CgoPolicy> {
  static constexpr std::array kNames{std::pair{CgoPolicy::Disabled, std::string_view{"Disabled"}},
                                     std::pair{CgoPolicy::Enabled, std::string_view{"Enabled"}},
                                     std::pair{CgoPolicy::Auto, std::string_view{"Auto"}}};
};
template <>
struct EnumNames<ProxyFallback> {
  static constexpr std::array kNames{
      std::pair{ProxyFallback::NotFound, std::string_view{"NotFound"}},
      std::pair{ProxyFallback::AnyError, std::string_view{"AnyError"}}};
};
template <>
struct EnumNames<Activation> {
  static constexpr std::array kNames{std::pair{Activation::Hook, std::string_view{"Hook"}},
                                     std::pair{Activation::None, std::string_view{"None"}}};
};
template <>
struct EnumNames<GoWorkMode> {
  static constexpr std::array kNames{std::pair{GoWorkMode::Auto, std::string_view{"Auto"}},
                                     std::pair{GoWorkMode::Off, std::string_view{"Off"}},
                                     std::pair{GoWorkMode::Path, std::string_view{"Path"}}};
};
template <>
struct EnumNames<CacheScope> {
  static constexpr std::array kNames{
      std::pair{CacheScope::Pod, std::string_view{"Pod"}},
      std::pair{CacheScope::Environment, std::string_view{"Environment"}},
      std::pair{CacheScope::Namespace, std::string_view{"Namespace"}}};
};
template <>
struct EnumNames<Enforcement> {
  static constexpr std::array kNames{std::pair{Enforcement::Prefer, std::string_view{"Prefer"}},
                                     std::pair{Enforcement::Enforce, std::string_view{"Enforce"}}};
};
template <>
struct EnumNames<Preflight> {
  static constexpr std::array kNames{std::pair{Preflight::Off, std::string_view{"Off"}},
                                     std::pair{Preflight::Warn, std::string_view{"Warn"}},
                                     std::pair{Preflight::Require, std::string_view{"Require"}}};
};

template <class E>
constexpr std::string_view enum_name(E value) {
  for (const auto& [candidate, name] : EnumNames<E>::kNames) {
    if (candidate == value) return name;
  }
  return "";
}

template <class E>
constexpr std::optional<E> enum_value(std::string_view name) {
  for (const auto& [value, candidate] : EnumNames<E>::kNames) {
    if (candidate == name) return value;
  }
  return std::nullopt;
}

}  // namespace gobuildenv::goenv
