#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "kube/error.hpp"
#include "kube/http.hpp"

/// Typed-by-value access to the Kubernetes API: one client for every kind, bodies as JSON text.
namespace gobuildenv::kube {

/// A resource as the API server serves it, e.g. {"gobuildenv.dev", "v1alpha1", "gobuildenvs",
/// "GoBuildEnv", true}; the core group is "".
struct ResourceType {
  std::string group;
  std::string version;
  std::string plural;
  std::string kind;
  bool namespaced = true;
  /// "group/version", or "v1" for the core group.
  [[nodiscard]] std::string api_version() const;
};

struct ObjectKey {
  std::string ns;  ///< empty for cluster-scoped kinds
  std::string name;
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

struct ListOptions {
  std::string ns;  ///< empty: all namespaces
  std::string label_selector;
  std::string field_selector;
  bool metadata_only = false;  ///< PartialObjectMetadata
  std::string resource_version;
  std::string resource_version_match;
  int limit = 0;
  std::string continue_token;
  std::size_t expected_bytes = 0;  ///< of the page, as HttpRequest::expected_body
};

/// One page: `body` is the whole list as JSON text; items are split off by the reader.
struct ListPage {
  std::string body;
};

struct WatchOptions {
  std::string ns;
  std::string label_selector;
  std::string field_selector;
  bool metadata_only = false;
  std::string resource_version;
  bool send_initial_events = false;  ///< streaming list: NotOlderThan with bookmarks
  int timeout_seconds = 300;
};

struct ApplyOptions {
  std::string field_manager = "gobuildenv";
  bool force = true;
  std::string subresource;  ///< "status" or empty
};

struct DeleteOptions {
  std::string uid;               ///< precondition, strongly advised
  std::string resource_version;  ///< precondition when not empty
};

/// Asked before each write: false once the lease has expired, and then no request starts.
using WriteFence = std::function<bool()>;

/// Thread-safe. Retries 429 and 5xx with Retry-After (at most 10 tries) and transport errors on GET
/// only; every call ends by its deadline. Strict field validation on every write.
class Client {
 public:
  virtual ~Client() = default;
  Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  using Result = tl::expected<std::string, Error>;  ///< JSON text of the object

  virtual Result get(const ResourceType& type, const ObjectKey& key, Deadline deadline) = 0;
  virtual tl::expected<ListPage, Error> list(const ResourceType& type, const ListOptions& options,
                                             Deadline deadline) = 0;
  virtual Result create(const ResourceType& type, const std::string& ns, std::string_view json,
                        Deadline deadline) = 0;
  /// The same, of which only the answer's metadata is wanted: it may be PartialObjectMetadata,
  /// which costs both sides less where the object is large.
  virtual Result create_for_metadata(const ResourceType& type, const std::string& ns,
                                     std::string_view json, Deadline deadline) {
    return create(type, ns, json, deadline);
  }
  /// PUT; `json` carries resourceVersion as the precondition.
  virtual Result update(const ResourceType& type, const ObjectKey& key, std::string_view json,
                        const std::string& subresource, Deadline deadline) = 0;
  /// Server-side apply.
  virtual Result apply(const ResourceType& type, const ObjectKey& key, std::string_view json,
                       const ApplyOptions& options, Deadline deadline) = 0;
  /// JSON patch (RFC 6902) or merge patch (RFC 7386), by `content_type`.
  virtual Result patch(const ResourceType& type, const ObjectKey& key, std::string_view body,
                       const std::string& content_type, const std::string& subresource,
                       Deadline deadline) = 0;
  virtual tl::expected<void, Error> remove(const ResourceType& type, const ObjectKey& key,
                                           const DeleteOptions& options, Deadline deadline) = 0;
  /// Opens a watch; an answer other than 200 is an Error.
  virtual tl::expected<std::unique_ptr<ByteStream>, Error> watch(const ResourceType& type,
                                                                 const WatchOptions& options) = 0;
  /// GET of a path outside the resource scheme, such as /readyz.
  virtual Result get_raw(const std::string& target, Deadline deadline) = 0;
};

}  // namespace gobuildenv::kube
