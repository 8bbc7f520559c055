#include "kube/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <string_view>

namespace gobuildenv::kube {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using Cert = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

Bio reader(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// An encrypted key must fail, not ask on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

/// Reads certificates up to the end; false when there is none or one is broken.
template <class Each>
bool each_certificate(const std::string& pem, Each each) {
  const Bio bio = reader(pem);
  std::size_t count = 0;
  while (Cert cert{PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)}) {
    if (!each(cert.get())) {
      return false;
    }
    ++count;
  }
  const auto last = ERR_peek_last_error();
  const bool at_end =
      ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return count > 0 && at_end;
}

}  // namespace

tl::expected<std::shared_ptr<ssl_ctx_st>, std::string> make_tls_context(
    const TlsMaterial& material) {
  using Bad = tl::unexpected<std::string>;
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> ctx(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (!ctx) {
    return Bad("OpenSSL gave no TLS context");
  }
  SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION);
  // Idle connections keep no record buffers (34 KiB each).
  SSL_CTX_set_mode(ctx.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
  constexpr std::array<unsigned char, 9> kAlpn{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  SSL_CTX_set_alpn_protos(ctx.get(), kAlpn.data(), kAlpn.size());
  SSL_CTX_set_verify(ctx.get(), material.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);

  X509_STORE* store = SSL_CTX_get_cert_store(ctx.get());
  if (material.system_trust && X509_STORE_set_default_paths(store) != 1) {
    return Bad("the system's certificate store cannot be read");
  }
  // As Go does: what the user names is an anchor, also when it is an intermediate or the leaf.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx.get()), X509_V_FLAG_PARTIAL_CHAIN);
  if (!material.ca.empty() && !each_certificate(material.ca, [&](X509* cert) {
        return X509_STORE_add_cert(store, cert) == 1;
      })) {
    return Bad("the certificate authority is not a list of PEM certificates");
  }
  if (material.certificate.empty() != material.key.empty()) {
    return Bad(material.key.empty() ? "the client certificate has no key"
                                    : "the client key has no certificate");
  }
  if (!material.certificate.empty()) {
    bool leaf = true;
    if (!each_certificate(material.certificate, [&](X509* cert) {
          const bool taken = leaf ? SSL_CTX_use_certificate(ctx.get(), cert) == 1
                                  : SSL_CTX_add1_chain_cert(ctx.get(), cert) == 1;
          leaf = false;
          return taken;
        })) {
      return Bad("the client certificate is not a list of PEM certificates");
    }
    const Bio bio = reader(material.key);
    const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    if (!key) {
      ERR_clear_error();
      return Bad("the client key is not an unencrypted PEM key");
    }
    if (SSL_CTX_use_PrivateKey(ctx.get(), key.get()) != 1 ||
        SSL_CTX_check_private_key(ctx.get()) != 1) {
      ERR_clear_error();
      return Bad("the client key does not belong to the client certificate");
    }
  }
  return ctx;
}

}  // namespace gobuildenv::kube
