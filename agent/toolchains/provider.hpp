#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "agent/toolchains/store.hpp"
#include "agent/toolchains/toolchain_id.hpp"
#include "kube/clock.hpp"

/// What the CSI service and the node's wiring ask for toolchains. The implementation over the store
/// and the module proxies is make_toolchain_provider() in agent/toolchains/fetching_provider.hpp.
namespace gobuildenv::agent {

struct ToolchainState {
  enum class Kind {
    Absent,    ///< not in the store, and nobody fetches it
    Fetching,  ///< being downloaded, verified or written
    Ready,     ///< published
    Failed,    ///< the last try failed; tried again at `retry_at`
  };
  Kind kind = Kind::Absent;
  std::string goroot;             ///< Ready: absolute path of the read-only GOROOT
  std::string h1;                 ///< Ready: its sum
  std::uint64_t bytes = 0;        ///< Fetching: downloaded; Ready: size on disk
  std::uint64_t total_bytes = 0;  ///< Fetching: of the download, 0 while unknown
  /// Failed, and Fetching again after that: a CamelCase word for conditions and Events. NotFound,
  /// ProxyUnreachable, NoProxyConfigured, SumMismatch, SumdbUnreachable, SumdbForged, BadArchive,
  /// DiskFull, ReadOnlyDisk, DiskError, Stopped.
  std::string reason;
  std::string message;                ///< as reason: a sentence for people, no credentials
  kube::Clock::TimePoint retry_at{};  ///< Failed: nothing is tried before
  friend bool operator==(const ToolchainState&, const ToolchainState&) = default;
};

/// Thread-safe.
class ToolchainProvider {
 public:
  virtual ~ToolchainProvider() = default;
  ToolchainProvider() = default;
  ToolchainProvider(const ToolchainProvider&) = delete;
  ToolchainProvider& operator=(const ToolchainProvider&) = delete;

  /// What is known now; starts nothing.
  [[nodiscard]] virtual ToolchainState state(const ToolchainWant& want) = 0;

  /// Starts fetching what is Absent, or Failed with its time come, and gives the state without
  /// waiting. Any number of callers wanting the same share one fetch.
  virtual ToolchainState ensure(const ToolchainWant& want) = 0;

  /// ensure(), then waits until it is Ready or Failed, or until `deadline` (by the injected clock).
  /// A failure whose cause may pass is tried again meanwhile and ends the wait only at the
  /// deadline.
  virtual ToolchainState wait(const ToolchainWant& want, kube::Clock::TimePoint deadline) = 0;

  /// Everything asked for since the start that is not Absent, in order of id.
  struct Entry {
    ToolchainWant want;
    ToolchainState state;
  };
  [[nodiscard]] virtual std::vector<Entry> entries() = 0;

  /// Everything published on the node, whoever wants it. Reads the disk.
  [[nodiscard]] virtual std::vector<StoredToolchain> stored() { return {}; }
};

}  // namespace gobuildenv::agent
