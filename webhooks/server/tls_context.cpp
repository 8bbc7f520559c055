#include "webhooks/server/tls_context.hpp"

#include <openssl/ssl.h>

namespace gobuildenv::webhooks::server {
namespace {

/// ALPN (RFC 7301): http/1.1 or nothing in common; a client that offers nothing is served too.
int select_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* in, unsigned int in_length, void* /*argument*/) {
  static constexpr unsigned char kHttp11[] = "\x08http/1.1";
  unsigned char* selected = nullptr;
  const int result =
      SSL_select_next_proto(&selected, out_length, kHttp11, sizeof kHttp11 - 1, in, in_length);
  *out = selected;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

tl::expected<TlsContext, std::string> make_tls_context(const certificates::KeyPair& pair,
                                                       TlsVersion min_version) {
  namespace asio = boost::asio;
  if (auto checked = certificates::check_pair(pair); !checked) {
    return tl::unexpected(checked.error());
  }
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  boost::system::error_code error;
  context->use_certificate_chain(asio::buffer(pair.certificate), error);
  if (!error) {
    context->use_private_key(asio::buffer(pair.private_key), asio::ssl::context::pem, error);
  }
  if (error) return tl::unexpected("the certificate cannot be served: " + error.message());

  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native,
                                min_version == TlsVersion::Tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // The API server keeps connections, not sessions.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_options(native, SSL_OP_NO_TICKET);
  SSL_CTX_set_alpn_select_cb(native, select_protocol, nullptr);
  return context;
}

}  // namespace gobuildenv::webhooks::server
