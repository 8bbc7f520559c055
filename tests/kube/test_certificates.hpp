#pragma once

#include <string>
#include <vector>

namespace gobuildenv::kube::testing {

/// PEM texts of a certificate (with an EC P-256 key), valid from an hour ago for a day.
struct Issued {
  std::string certificate;
  std::string key;
};

/// A self-signed authority.
Issued make_authority(const std::string& common_name);

/// A leaf signed by `authority`; names are "DNS:…" or "IP:…".
Issued issue(const Issued& authority, const std::string& common_name,
             const std::vector<std::string>& names);

}  // namespace gobuildenv::kube::testing
