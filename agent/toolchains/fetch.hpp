#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "agent/step_hook.hpp"
#include "agent/sumdb/database.hpp"
#include "agent/sumdb/head_store.hpp"
#include "agent/toolchains/extract.hpp"
#include "agent/toolchains/failure.hpp"
#include "agent/toolchains/store.hpp"
#include "agent/toolchains/toolchain_id.hpp"
#include "agent/toolchains/web_session.hpp"
#include "goenv/spec.hpp"

namespace gobuildenv::agent {

struct FetchOptions {
  std::vector<goenv::Proxy> proxies;  ///< the operator's, never a namespace's
  /// Empty: nothing can be verified, and only pinned toolchains are fetched.
  std::optional<sumdb::Database> database;
  WebOptions web;
  ExtractOptions extract;
  std::uint64_t max_download = std::uint64_t{500} << 20U;  ///< bytes
  /// Sees "sum", "downloaded", "extracted", and then the steps of ToolchainStore::publish().
  StepHook hook;
};

/// Stops fetches in progress. Thread-safe.
class FetchStop {
 public:
  void stop() noexcept;
  [[nodiscard]] bool stopped() const noexcept { return stopped_.load(); }

 private:
  friend class FetchScope;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<WebSession*> sessions_;
  std::vector<kube::ByteStream*> streams_;
};

/// Opens the memory of a database's heads, <root>/sumdb/<name>/head.
[[nodiscard]] tl::expected<std::unique_ptr<sumdb::HeadStore>, Failure> open_head_store(
    const std::string& root, const sumdb::VerifierKey& key);

/// Fetches one toolchain into `store`: asks for its sum, downloads from the first proxy that has
/// it, extracts while hashing, compares, publishes. Blocks; a retry is the caller's. `heads` is
/// null exactly when options.database is empty. `progress` is called with the bytes downloaded and
/// the total (0: unknown), on the calling thread. `now` is for the record, seconds since 1970.
[[nodiscard]] tl::expected<StoredToolchain, Failure> fetch_toolchain(
    const ToolchainWant& want, const ToolchainStore& store, sumdb::HeadStore* heads,
    const FetchOptions& options, FetchStop& stop,
    const std::function<void(std::uint64_t bytes, std::uint64_t total)>& progress,
    std::int64_t now);

}  // namespace gobuildenv::agent
