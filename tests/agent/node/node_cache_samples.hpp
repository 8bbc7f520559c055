#pragma once

#include <string>

#include "agent/node/node_cache_status.hpp"
#include "goenv/version.hpp"

/// Facts for tests of GoNodeCache.
namespace gobuildenv::agent::testing {

inline ToolchainFact fact(const std::string& version,
                          crds::ToolchainPhase phase = crds::ToolchainPhase::Ready) {
  ToolchainFact out;
  out.id.version = goenv::parse_version(version).value();
  out.phase = phase;
  if (phase == crds::ToolchainPhase::Ready) {
    out.key = "h1-" + version;
    out.h1 = "h1:" + version;
    out.bytes = std::uint64_t{226} << 20U;
    out.last_used = 1'795'345'130;
  }
  if (phase == crds::ToolchainPhase::Failed) {
    out.reason = "ProxyUnreachable";
    out.message = "connection refused";
  }
  return out;
}

inline NodeCacheFacts node_facts() {
  NodeCacheFacts out;
  out.agent_version = "0.3.0";
  out.looked = true;
  out.registered = true;
  out.disk = collector::Disk{std::uint64_t{100} << 30U, std::uint64_t{60} << 30U, 1000, 900};
  out.now = 1'795'345'130;
  return out;
}

}  // namespace gobuildenv::agent::testing
