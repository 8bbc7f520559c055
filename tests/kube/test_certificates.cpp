#include "tests/kube/test_certificates.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <memory>
#include <stdexcept>

namespace gobuildenv::kube::testing {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;
using Cert = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

void extend(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) {
    throw std::runtime_error("extension " + value);
  }
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
}

Issued make(const std::string& common_name, const std::vector<std::string>& names,
            const Issued* authority) {
  static std::atomic<long> serial{1};
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const Cert cert(X509_new(), X509_free);
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 86400);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  if (authority == nullptr) {
    X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get()));
    extend(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE");
    extend(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign");
    X509_sign(cert.get(), key.get(), EVP_sha256());
  } else {
    const Bio ca_text(BIO_new_mem_buf(authority->certificate.data(), -1), BIO_free_all);
    const Bio key_text(BIO_new_mem_buf(authority->key.data(), -1), BIO_free_all);
    const Cert ca(PEM_read_bio_X509(ca_text.get(), nullptr, nullptr, nullptr), X509_free);
    const Key ca_key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr),
                     EVP_PKEY_free);
    X509_set_issuer_name(cert.get(), X509_get_subject_name(ca.get()));
    std::string joined;
    for (const auto& name : names) {
      joined += (joined.empty() ? "" : ",") + name;
    }
    if (!joined.empty()) {
      extend(cert.get(), ca.get(), NID_subject_alt_name, joined);
    }
    X509_sign(cert.get(), ca_key.get(), EVP_sha256());
  }
  const Bio out(BIO_new(BIO_s_mem()), BIO_free_all);
  const Bio key_out(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio_X509(out.get(), cert.get());
  PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {text_of(out.get()), text_of(key_out.get())};
}

}  // namespace

Issued make_authority(const std::string& common_name) { return make(common_name, {}, nullptr); }

Issued issue(const Issued& authority, const std::string& common_name,
             const std::vector<std::string>& names) {
  return make(common_name, names, &authority);
}

}  // namespace gobuildenv::kube::testing
