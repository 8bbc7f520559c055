#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

/// Certificates as PEM text: what is generated, stored and served. OpenSSL stays in the .cpp.
namespace gobuildenv::webhooks::certificates {

using TimePoint = std::chrono::system_clock::time_point;

/// A certificate (a leaf may be followed by its chain) and its private key, both PEM.
struct KeyPair {
  std::string certificate;
  std::string private_key;

  bool empty() const { return certificate.empty() && private_key.empty(); }
  friend bool operator==(const KeyPair&, const KeyPair&) = default;
};

/// What decisions need to know of a certificate.
struct CertificateInfo {
  TimePoint not_before;
  TimePoint not_after;
  bool is_ca = false;
  std::vector<std::string> dns_names;  ///< subjectAltName, in the certificate's order
  std::string fingerprint;             ///< SHA-256 of the DER form, lower-case hex
};

/// How far not_before lies before the time of issue, for clients whose clocks are behind.
inline constexpr std::chrono::minutes kBackdate{5};

struct Issue {
  TimePoint now;                          ///< time of issue, not_before is kBackdate earlier
  std::chrono::seconds lifetime;          ///< not_after - now
  std::string common_name;                ///< shown by tools; not used for verification
  std::vector<std::string> dns_names;     ///< subjectAltName of a leaf
  std::vector<std::string> ip_addresses;  ///< the same, "127.0.0.1" or "::1"
};

/// A self-signed ECDSA P-256 CA (RFC 5280 CA:TRUE, pathlen 0, keyCertSign). Error: OpenSSL's text.
tl::expected<KeyPair, std::string> issue_ca(const Issue& issue);

/// A serving certificate signed by `ca` (serverAuth, subjectAltName). Never outlives its CA.
tl::expected<KeyPair, std::string> issue_leaf(const Issue& issue, const KeyPair& ca);

/// Reads the first certificate of `pem`.
tl::expected<CertificateInfo, std::string> inspect(std::string_view pem);

/// Whether `pair` is a certificate and the private key that belongs to it: half-written or mixed
/// files are not. Error: a sentence without key material.
tl::expected<CertificateInfo, std::string> check_pair(const KeyPair& pair);

/// Whether `leaf`'s first certificate carries a signature of `ca`'s.
bool signed_by(std::string_view leaf_pem, std::string_view ca_pem);

/// Fingerprints of all certificates in `bundle`, in order; what cannot be read is left out.
std::vector<std::string> fingerprints(std::string_view bundle);

}  // namespace gobuildenv::webhooks::certificates
