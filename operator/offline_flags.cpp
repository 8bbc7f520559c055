#include "operator/offline_flags.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "goenv/proxy_list.hpp"
#include "operator/terminal.hpp"

namespace gobuildenv::cli {

void add_offline_flags(CLI::App& command, OfflineFlags& flags, std::vector<std::string> formats,
                       bool environments) {
  command.add_option("-f,--filename", flags.files,
                     "YAML or JSON file, folder, or - for standard input; repeatable");
  if (environments) {
    command.add_option("-e,--environment", flags.environments,
                       "the same, for GoBuildEnvs (and Namespaces) that are not in -f");
    command.add_flag("--csi", flags.csi, "decide as on a cluster with the node agent's CSI driver");
  }
  command.add_option("-n,--namespace", flags.ns, "namespace of objects that name none")
      ->capture_default_str();
  command.add_option("--toolchain-version", flags.toolchain_versions,
                     "the release that a range such as 1.22 stands for, e.g. 1.22.12; repeatable");
  command.add_option("--module-proxy", flags.module_proxy,
                     "the manager's --module-proxy: GOPROXY of environments that name none");
  command.add_option("--sum-db", flags.sum_db, "the manager's --sum-db");
  flags.output = formats.front();
  command.add_option("-o,--output", flags.output, "format of the output")
      ->check(CLI::IsMember(formats))
      ->capture_default_str();
}

tl::expected<OfflineOptions, std::string> offline_options(const OfflineFlags& flags) {
  OfflineOptions out;
  out.ns = flags.ns;
  for (const std::string& text : flags.toolchain_versions) {
    const auto version = goenv::parse_version(text);
    if (!version) {
      return tl::unexpected(fmt::format("--toolchain-version: \"{}\" {}", text, version.error()));
    }
    if (version->is_range() && *version >= goenv::kFirstSwitchingGo) {
      return tl::unexpected(fmt::format(
          "--toolchain-version: \"{0}\" is a range itself; name one of its releases: {0}.PATCH",
          text));
    }
    out.releases.push_back(*version);
  }
  out.csi_available = flags.csi;
  out.defaults.sum_db = flags.sum_db;
  auto proxies = goenv::parse_proxy_list(flags.module_proxy);
  if (!proxies) return tl::unexpected("--module-proxy: " + proxies.error());
  out.defaults.proxies = std::move(*proxies);
  return out;
}

void complain(const char* command, const std::string& text) {
  fmt::print(stderr, "gobuildenv {}: {}\n", command, terminal_text(text));
}

}  // namespace gobuildenv::cli
