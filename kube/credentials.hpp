#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "kube/clock.hpp"
#include "kube/config_error.hpp"
#include "kube/http.hpp"
#include "kube/kubeconfig.hpp"
#include "kube/tls_context.hpp"

/// Who we are to the API server, kept fresh while files and plugins change under us.
namespace gobuildenv::kube {

/// Headers that identify us, and which state of the credentials they are from.
struct AuthHeaders {
  Headers headers;
  std::uint64_t generation = 0;
};

/// Thread-safe. What once worked goes on being used while its source cannot be read, with a
/// warning.
class Credentials {
 public:
  virtual ~Credentials() = default;
  Credentials() = default;
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  /// Rereads a token file older than 60 s; runs the exec plugin when it has not run or its
  /// credential has expired, until `deadline` at most.
  virtual tl::expected<AuthHeaders, ConfigError> headers(Deadline deadline) = 0;
  /// After a 401 with headers of that generation: rereads everything at once. True when something
  /// is different now, so that another try makes sense.
  virtual bool refresh(std::uint64_t generation, Deadline deadline) = 0;
  /// The context to connect with. Certificate, key and CA files are looked at every 5 s; a pair
  /// that does not belong together (half-written) is not used.
  virtual tl::expected<TlsContext, ConfigError> tls() = 0;
};

/// Reads what is there already: a file that is missing or broken now is an error now. The exec
/// plugin is not run yet. `clock` outlives the credentials.
[[nodiscard]] tl::expected<std::unique_ptr<Credentials>, ConfigError> make_credentials(
    const ClusterConfig& config, Clock& clock);

}  // namespace gobuildenv::kube
