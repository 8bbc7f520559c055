#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/config_error.hpp"
#include "kube/credentials.hpp"
#include "kube/http.hpp"
#include "kube/kubeconfig.hpp"
#include "kube/request_stop.hpp"

namespace gobuildenv::kube {

/// The edges a client works through; clients with different fences share them.
struct ClientParts {
  std::shared_ptr<Transport> transport;
  std::shared_ptr<StreamTransport> streams;
  std::shared_ptr<Credentials> credentials;  ///< may be null: no headers are added
  std::string base_path;                     ///< path of the server's URL
  std::string host;                          ///< host:port, for metrics
};

/// `code` is the HTTP status, or "<error>" where there was no answer, as client-go counts.
using RequestCounter = std::function<void(const std::string& code, const std::string& method,
                                          const std::string& host)>;

struct ClientOptions {
  /// Empty: writes are always allowed. Leader election's own client has none.
  WriteFence fence;
  RequestCounter count;  ///< called for every try; may be empty
  std::string user_agent = "gobuildenv";
  Clock* clock = nullptr;                       ///< outlives the client; required
  RequestStop* stop = nullptr;                  ///< ends all that the client does; may be null
  Random random;                                ///< empty: no jitter
  std::chrono::seconds watch_open_timeout{30};  ///< until a watch's head has come
};

/// Makes transports and credentials for a cluster; connects to nothing yet. `clock` outlives them.
[[nodiscard]] tl::expected<ClientParts, ConfigError> make_client_parts(const ClusterConfig& config,
                                                                       Clock& clock);

[[nodiscard]] std::unique_ptr<Client> make_client(ClientParts parts, ClientOptions options);

}  // namespace gobuildenv::kube
