#pragma once

#include <string>
#include <string_view>

namespace gobuildenv::crds {

/// SHA-256 (FIPS 180-4) of `data` as 64 lower-case hex digits; fits goenv::Sha256Hex. Thread-safe.
/// Throws std::runtime_error when OpenSSL offers no SHA-256.
std::string sha256_hex(std::string_view data);

}  // namespace gobuildenv::crds
