#include "webhooks/certificates/key_pair.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

namespace gobuildenv::webhooks::certificates {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Bio = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using Serial = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Deleter<GENERAL_NAMES_free>>;

std::string openssl_error(const char* what) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return std::string(what) + ": " + text;
}

Bio memory(std::string_view pem) {
  return Bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Certificate read_certificate(BIO* bio) {
  return Certificate(PEM_read_bio_X509(bio, nullptr, nullptr, nullptr));
}

Certificate read_first(std::string_view pem) {
  const Bio bio = memory(pem);
  Certificate certificate = bio ? read_certificate(bio.get()) : nullptr;
  ERR_clear_error();
  return certificate;
}

Key read_key(std::string_view pem) {
  // An encrypted key must not ask for a passphrase on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return -1; };
  const Bio bio = memory(pem);
  Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr) : nullptr);
  ERR_clear_error();
  return key;
}

std::string drain(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string{};
}

TimePoint to_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return TimePoint{};
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

std::string fingerprint(const X509* certificate) {
  static constexpr char kHex[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += kHex[digest[i] >> 4U];
    hex += kHex[digest[i] & 0xFU];
  }
  return hex;
}

CertificateInfo describe(X509* certificate) {
  CertificateInfo info;
  info.not_before = to_time(X509_get0_notBefore(certificate));
  info.not_after = to_time(X509_get0_notAfter(certificate));
  info.is_ca = X509_check_ca(certificate) == 1;
  info.fingerprint = fingerprint(certificate);
  const Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const int count = names ? sk_GENERAL_NAME_num(names.get()) : 0;
  for (int i = 0; i < count; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DNS) continue;
    const auto* text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
    info.dns_names.emplace_back(text,
                                static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  return info;
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

/// 127 random bits: positive and within RFC 5280's 20 octets.
bool set_random_serial(X509* certificate) {
  const Serial number(BN_new());
  return number && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

/// Everything that CA and leaf have in common, not yet signed.
bool fill(X509* certificate, const Issue& issue, TimePoint not_after, EVP_PKEY* key) {
  const std::time_t begin = std::chrono::system_clock::to_time_t(issue.now - kBackdate);
  const std::time_t end = std::chrono::system_clock::to_time_t(not_after);
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>(issue.common_name.c_str());
  return X509_set_version(certificate, X509_VERSION_3) == 1 && set_random_serial(certificate) &&
         ASN1_TIME_set(X509_getm_notBefore(certificate), begin) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), end) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) == 1 &&
         X509_set_pubkey(certificate, key) == 1;
}

tl::expected<KeyPair, std::string> to_pem(X509* certificate, EVP_PKEY* key) {
  const Bio certificate_pem(BIO_new(BIO_s_mem()));
  const Bio key_pem(BIO_new(BIO_s_mem()));
  if (!certificate_pem || !key_pem || PEM_write_bio_X509(certificate_pem.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_pem.get(), key, nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return tl::unexpected(openssl_error("writing PEM"));
  }
  return KeyPair{drain(certificate_pem.get()), drain(key_pem.get())};
}

std::string alternative_names(const Issue& issue) {
  std::string names;
  const auto add = [&names](const char* kind, const std::string& value) {
    if (!names.empty()) names += ',';
    names += kind + value;
  };
  for (const std::string& name : issue.dns_names) add("DNS:", name);
  for (const std::string& address : issue.ip_addresses) add("IP:", address);
  return names;
}

}  // namespace

tl::expected<KeyPair, std::string> issue_ca(const Issue& issue) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (!key || !certificate ||
      !fill(certificate.get(), issue, issue.now + issue.lifetime, key.get()) ||
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get())) != 1 ||
      !add_extension(certificate.get(), certificate.get(), NID_basic_constraints,
                     "critical,CA:TRUE,pathlen:0") ||
      !add_extension(certificate.get(), certificate.get(), NID_key_usage,
                     "critical,keyCertSign,cRLSign") ||
      !add_extension(certificate.get(), certificate.get(), NID_subject_key_identifier, "hash") ||
      X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) {
    return tl::unexpected(openssl_error("issuing a CA"));
  }
  return to_pem(certificate.get(), key.get());
}

tl::expected<KeyPair, std::string> issue_leaf(const Issue& issue, const KeyPair& ca) {
  const Certificate issuer = read_first(ca.certificate);
  const Key issuer_key = read_key(ca.private_key);
  if (!issuer || !issuer_key) return tl::unexpected(std::string("the CA cannot be read"));
  const TimePoint end =
      std::min(issue.now + issue.lifetime, to_time(X509_get0_notAfter(issuer.get())));
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  if (!key || !certificate || !fill(certificate.get(), issue, end, key.get()) ||
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get())) != 1 ||
      !add_extension(certificate.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") ||
      !add_extension(certificate.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") ||
      !add_extension(certificate.get(), issuer.get(), NID_ext_key_usage, "serverAuth") ||
      !add_extension(certificate.get(), issuer.get(), NID_subject_key_identifier, "hash") ||
      !add_extension(certificate.get(), issuer.get(), NID_authority_key_identifier, "keyid") ||
      !add_extension(certificate.get(), issuer.get(), NID_subject_alt_name,
                     alternative_names(issue)) ||
      X509_sign(certificate.get(), issuer_key.get(), EVP_sha256()) == 0) {
    return tl::unexpected(openssl_error("issuing a serving certificate"));
  }
  return to_pem(certificate.get(), key.get());
}

tl::expected<CertificateInfo, std::string> inspect(std::string_view pem) {
  const Certificate certificate = read_first(pem);
  if (!certificate) return tl::unexpected(std::string("no certificate in PEM form"));
  return describe(certificate.get());
}

tl::expected<CertificateInfo, std::string> check_pair(const KeyPair& pair) {
  const Certificate certificate = read_first(pair.certificate);
  if (!certificate) return tl::unexpected(std::string("no certificate in PEM form"));
  const Key key = read_key(pair.private_key);
  if (!key) return tl::unexpected(std::string("no unencrypted private key in PEM form"));
  const bool match = X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  if (!match) return tl::unexpected(std::string("the private key is not the certificate's"));
  return describe(certificate.get());
}

bool signed_by(std::string_view leaf_pem, std::string_view ca_pem) {
  const Certificate leaf = read_first(leaf_pem);
  const Certificate ca = read_first(ca_pem);
  if (!leaf || !ca) return false;
  const bool match = X509_check_issued(ca.get(), leaf.get()) == X509_V_OK &&
                     X509_verify(leaf.get(), X509_get0_pubkey(ca.get())) == 1;
  ERR_clear_error();
  return match;
}

std::vector<std::string> fingerprints(std::string_view bundle) {
  std::vector<std::string> result;
  const Bio bio = memory(bundle);
  while (bio) {
    const Certificate certificate = read_certificate(bio.get());
    if (!certificate) break;
    result.push_back(fingerprint(certificate.get()));
  }
  ERR_clear_error();
  return result;
}

}  // namespace gobuildenv::webhooks::certificates
