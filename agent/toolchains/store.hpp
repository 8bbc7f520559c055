#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "agent/step_hook.hpp"
#include "agent/toolchains/toolchain_id.hpp"

/// Verified toolchains on the node's disk. A toolchain is visible by one rename of a complete,
/// synced directory, and none of its files is changed after it; empty folders `.newer/goX.Y.Z` are
/// added to a GOROOT as places to mount newer ones on (agent/csi/mounter.hpp).
///
///     <root>/toolchains/<name>/<key>/goroot/…      read-only GOROOT
///     <root>/toolchains/<name>/<key>/record.json   what it is and where it came from
///     <root>/incoming/<random>/                    in progress; emptied by open()
namespace gobuildenv::agent {

/// Why the store could not do it.
struct StoreError {
  enum class Kind { DiskFull, ReadOnly, Io, Invalid };
  Kind kind = Kind::Io;
  std::string message;  ///< names path and cause
};

/// The error of a system call on `path`: "cannot <doing> <path>: …".
[[nodiscard]] StoreError store_error(std::string_view doing, const std::string& path,
                                     std::error_code code);

/// The same with a message that is there already.
[[nodiscard]] StoreError store_error(std::string message, std::error_code code);

/// Of record.json.
struct ToolchainRecord {
  std::string h1;           ///< "h1:…", as the checksum database says it
  std::uint64_t bytes = 0;  ///< of all files
  std::uint64_t files = 0;
  std::int64_t fetched_at = 0;  ///< seconds since 1970
  std::string source;           ///< the proxy's URL without credentials
  friend bool operator==(const ToolchainRecord&, const ToolchainRecord&) = default;
};

struct StoredToolchain {
  ToolchainId id;
  std::string key;     ///< of store_key()
  std::string folder;  ///< absolute: …/toolchains/<name>/<key>
  ToolchainRecord record;
  [[nodiscard]] std::string goroot() const { return folder + "/goroot"; }
};

/// Work in progress: a folder of its own below incoming/, removed with everything in it unless
/// published.
class Incoming {
 public:
  Incoming(Incoming&& other) noexcept;
  Incoming& operator=(Incoming&& other) noexcept;
  ~Incoming();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string archive() const { return path_ + "/toolchain.zip"; }
  [[nodiscard]] std::string goroot() const { return path_ + "/goroot"; }

 private:
  friend class ToolchainStore;
  explicit Incoming(std::string path) : path_(std::move(path)) {}
  std::string path_;  ///< empty once published
};

/// Thread-safe: it has no state but the disk's. One process at a time uses a root.
class ToolchainStore {
 public:
  /// Makes the folders below `root` and empties incoming/. `hook` sees the steps of publish():
  /// "record", "sync", "rename", "folder-sync".
  static tl::expected<ToolchainStore, StoreError> open(std::string root, StepHook hook = {});

  /// The published toolchain for `want`: a pinned one has the pinned sum and is the namespace's own
  /// or shared; without a pin it is a shared one.
  [[nodiscard]] std::optional<StoredToolchain> find(const ToolchainWant& want) const;

  /// Everything published, in order of name and key. Folders that are not ours are left out.
  [[nodiscard]] std::vector<StoredToolchain> list() const;

  /// A new folder to work in.
  [[nodiscard]] tl::expected<Incoming, StoreError> begin() const;

  /// Publishes `incoming`, whose goroot() is complete, for `id`; with `namespace_uid` as private to
  /// that namespace. Durable when it returns. When somebody has published the same before, theirs
  /// stays and is given.
  [[nodiscard]] tl::expected<StoredToolchain, StoreError> publish(
      Incoming incoming, const ToolchainId& id, std::string_view namespace_uid,
      const ToolchainRecord& record) const;

  [[nodiscard]] const std::string& root() const { return root_; }

 private:
  ToolchainStore(std::string root, StepHook hook)
      : root_(std::move(root)), hook_(std::move(hook)) {}
  std::string root_;
  StepHook hook_;
};

}  // namespace gobuildenv::agent
