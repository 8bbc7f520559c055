#include "agent/toolchains/toolchain_id.hpp"

#include <algorithm>

#include "kube/base64.hpp"

namespace gobuildenv::agent {
namespace {

constexpr std::size_t kSumBytes = 32;

bool is_word(std::string_view text, std::string_view also) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [also](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           also.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string ToolchainId::name() const {
  return "go" + goenv::to_string(version) + "." + os + "-" + arch;
}

std::string ToolchainId::module_version() const {
  return goenv::toolchain_module_version(version, os, arch);
}

std::optional<ToolchainId> parse_toolchain_id(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (!name.starts_with("go") || dot == std::string_view::npos || dot < 2) return std::nullopt;
  const std::string_view platform = name.substr(dot + 1);
  const std::size_t dash = platform.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto version = goenv::parse_version(name.substr(2, dot - 2));
  ToolchainId id{version ? *version : goenv::GoVersion{}, std::string(platform.substr(0, dash)),
                 std::string(platform.substr(dash + 1))};
  if (!version || !is_word(id.os, "") || !is_word(id.arch, "") || id.name() != name) {
    return std::nullopt;
  }
  return id;
}

std::string store_key(std::string_view h1, std::string_view namespace_uid) {
  if (!h1.starts_with("h1:")) return {};
  const auto bytes = kube::decode_base64(h1.substr(3));
  if (!bytes || bytes->size() != kSumBytes || kube::encode_base64(*bytes) != h1.substr(3)) {
    return {};
  }
  if (!namespace_uid.empty() && !is_word(namespace_uid, "-")) return {};
  std::string sum(h1.substr(3));
  std::replace(sum.begin(), sum.end(), '+', '-');
  std::replace(sum.begin(), sum.end(), '/', '_');
  while (sum.ends_with('=')) sum.pop_back();
  std::string key = namespace_uid.empty() ? "" : "ns-" + std::string(namespace_uid) + "-";
  return key + "h1-" + sum;
}

}  // namespace gobuildenv::agent
