#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gobuildenv::agent {

/// A line of a netrc file.
struct NetrcLogin {
  std::string machine;  ///< lower case
  std::string login;
  std::string password;
};

/// Reads a netrc file as the go command does (cmd/go/internal/auth/netrc.go): words, "machine" with
/// "login" and "password"; macros are skipped up to the empty line; "default" ends it. What is not
/// understood is passed over. The first entry of a machine counts.
[[nodiscard]] std::vector<NetrcLogin> parse_netrc(std::string_view text);

/// Value of an Authorization header for `host`, or "" when none of `logins` is for it.
[[nodiscard]] std::string authorization_for(const std::vector<NetrcLogin>& logins,
                                            std::string_view host);

}  // namespace gobuildenv::agent
