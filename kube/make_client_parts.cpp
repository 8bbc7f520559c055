#include <utility>

#include "kube/make_client.hpp"
#include "kube/transports.hpp"

namespace gobuildenv::kube {

tl::expected<ClientParts, ConfigError> make_client_parts(const ClusterConfig& config,
                                                         Clock& clock) {
  auto made = make_credentials(config, clock);
  if (!made) {
    return tl::unexpected(made.error());
  }
  ClientParts parts;
  parts.credentials = *std::move(made);
  parts.base_path = config.server.path;
  parts.host = config.server.authority();
  TransportOptions options;
  options.endpoint = {config.server.host, config.server.port, config.server.tls, config.server_name,
                      config.proxy};
  options.authority = parts.host;
  options.tls = [credentials = parts.credentials]() -> tl::expected<TlsContext, TransportError> {
    return credentials->tls().map_error([](const ConfigError& error) {
      return TransportError{TransportError::Kind::Tls, error.text()};
    });
  };
  parts.transport = make_pooled_transport(options);
  parts.streams = make_stream_transport(std::move(options));
  return parts;
}

}  // namespace gobuildenv::kube
