#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "agent/collector/trash_emptier.hpp"
#include "agent/node/collection_triggers.hpp"
#include "goenv/spec.hpp"
#include "operator/exit_code.hpp"
#include "operator/limit_flags.hpp"

namespace gobuildenv::cli {

/// The flags of `gobuildenv-agent`, as given; defaults are those of the chart.
struct AgentFlags {
  std::string root = "/var/lib/gobuildenv";
  std::string kubelet_dir = "/var/lib/kubelet";
  std::string csi_socket;  ///< empty: below kubelet_dir
  std::string node_name;
  std::string startup_taint;  ///< "key[=value]:Effect"; empty: none is taken away
  int volume_wait_seconds = 90;

  std::string proxies;  ///< GOPROXY form
  std::string proxies_ca;
  std::string proxies_netrc;
  std::string sum_db;
  unsigned parallel_fetches = 3;

  std::string collect_interval = "5m";
  LimitFlags limits;
  std::uint64_t delete_rate = agent::collector::TrashEmptier::kDefaultRate;

  std::string kubeconfig;
  std::string context;
  bool standalone = false;  ///< no cluster is asked

  std::string metrics_bind = ":8082";
  std::string health_bind = ":8083";
  std::string log_format = "text";
  std::string log_level = "info";
};

/// GOPROXY of a `go.env` file's text (cmd/go: NAME=VALUE lines, '#' comments); "" when it has none.
std::string goproxy_of(std::string_view go_env);

/// The proxies of the flag, else of $GOPROXY, else of the newest toolchain's own go.env below
/// `root`. "direct" and "off" entries are dropped: toolchains come from proxies only. Error: a
/// sentence with the fix.
tl::expected<std::vector<goenv::Proxy>, std::string> agent_proxies(const AgentFlags& flags,
                                                                   const std::string& root);

/// --collect-interval: the other times follow it. Error: a sentence with the fix.
tl::expected<agent::TriggerOptions, std::string> agent_triggers(const AgentFlags& flags);

/// Runs the agent until it is told to stop.
ExitCode run_agent(const AgentFlags& flags);

}  // namespace gobuildenv::cli
