#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>

struct ssl_ctx_st;  // OpenSSL's SSL_CTX, kept out of our headers

namespace gobuildenv::kube {

/// What a TLS client trusts and shows. PEM texts; empty means none.
struct TlsMaterial {
  std::string ca;           ///< the only authorities trusted; never the system's store beside them
  std::string certificate;  ///< ours, leaf first
  std::string key;
  bool insecure = false;  ///< the server's certificate is not verified at all
  /// Trust the system's store (as OpenSSL finds it) beside `ca`. Loading it costs 35–50 ms and
  /// 4 MiB: for public servers only, never for the API server.
  bool system_trust = false;
  friend bool operator==(const TlsMaterial&, const TlsMaterial&) = default;
};

/// A ready client context. Connections made with an older generation are not used again.
struct TlsContext {
  std::shared_ptr<ssl_ctx_st> ctx;
  std::uint64_t generation = 0;
};

/// Builds a client context: TLS 1.2 or newer, ALPN http/1.1. The error says which part does not
/// parse or that key and certificate do not belong together (a half-written pair); it holds none
/// of the material.
[[nodiscard]] tl::expected<std::shared_ptr<ssl_ctx_st>, std::string> make_tls_context(
    const TlsMaterial& material);

}  // namespace gobuildenv::kube
