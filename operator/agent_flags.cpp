#include "operator/agent_flags.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include "agent/toolchains/toolchain_id.hpp"
#include "crds/scalars.hpp"
#include "goenv/proxy_list.hpp"

namespace gobuildenv::cli {
namespace {

/// go.env of the newest toolchain in the store, or "".
std::string newest_go_env(const std::string& root) {
  namespace fs = std::filesystem;
  std::optional<agent::ToolchainId> newest;
  std::string text;
  std::error_code error;
  for (const auto& folder : fs::directory_iterator(root + "/toolchains", error)) {
    const auto id = agent::parse_toolchain_id(folder.path().filename().string());
    if (!id || (newest && id->version <= newest->version)) continue;
    for (const auto& key : fs::directory_iterator(folder.path(), error)) {
      std::ifstream file(key.path() / "goroot" / "go.env", std::ios::binary);
      if (!file) continue;
      newest = id;
      text.assign(std::istreambuf_iterator<char>(file), {});
    }
  }
  return text;
}

}  // namespace

std::string goproxy_of(std::string_view go_env) {
  constexpr std::string_view kKey = "GOPROXY=";
  while (!go_env.empty()) {
    const auto newline = go_env.find('\n');
    std::string_view line = go_env.substr(0, newline);
    go_env.remove_prefix(newline == std::string_view::npos ? go_env.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with(kKey)) return std::string(line.substr(kKey.size()));
  }
  return {};
}

tl::expected<std::vector<goenv::Proxy>, std::string> agent_proxies(const AgentFlags& flags,
                                                                   const std::string& root) {
  const std::string text = !flags.proxies.empty() ? flags.proxies : goproxy_of(newest_go_env(root));
  auto proxies = goenv::parse_proxy_list(text);
  if (!proxies) return tl::unexpected("--proxies: " + proxies.error());
  std::erase_if(*proxies,
                [](const goenv::Proxy& p) { return p.url == "direct" || p.url == "off"; });
  return proxies;
}

tl::expected<agent::TriggerOptions, std::string> agent_triggers(const AgentFlags& flags) {
  const auto interval = crds::parse_duration(flags.collect_interval);
  if (!interval || interval->count() < 1) {
    return tl::unexpected("--collect-interval: \"" + flags.collect_interval +
                          "\" is no duration of a second or more; write it like 5m");
  }
  agent::TriggerOptions out;
  out.interval = *interval;
  out.disk_check = std::min(out.disk_check, out.interval);
  out.measure_after = std::min(out.measure_after, out.interval);
  out.settle = std::min(out.settle, out.interval);
  return out;
}

}  // namespace gobuildenv::cli
