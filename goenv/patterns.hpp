#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Syntax of single values in a spec. Every check gives what is wrong with the value and what to
/// write instead, without repeating the value; empty when nothing is wrong.
namespace gobuildenv::goenv {

/// A glob of module path prefixes for GOPRIVATE and its kind (Go's path.Match).
std::optional<std::string> check_pattern(std::string_view pattern);

/// An absolute path in the container, below "/", clean, free of what separates path lists or is
/// special to a shell.
std::optional<std::string> check_path(std::string_view path);

/// A URL of one module proxy, "direct" or "off". Never repeats the URL, which may hold a password.
std::optional<std::string> check_proxy_url(std::string_view url);

/// A URL for HTTP_PROXY and HTTPS_PROXY.
std::optional<std::string> check_http_proxy(std::string_view url);

/// NO_PROXY: hosts, domains, addresses and networks separated by commas, or "*".
std::optional<std::string> check_no_proxy(std::string_view list);

/// GOSUMDB: "off", "name", "name+key" with a URL after a space if need be.
std::optional<std::string> check_sum_db(std::string_view text);

/// `url` without user and password: "https://***@host/path".
std::string redact_url(std::string_view url);

/// A container image reference (docker's distribution reference):
/// [host[:port]/]path[:tag][@digest].
std::optional<std::string> check_image(std::string_view reference);

/// A checksum as in go.sum: "h1:" and the base64 of 32 bytes.
std::optional<std::string> check_h1(std::string_view sum);

/// The name of a Kubernetes object (RFC 1123 subdomain, at most 253 characters).
std::optional<std::string> check_object_name(std::string_view name);

/// The key of a ConfigMap.
std::optional<std::string> check_config_map_key(std::string_view key);

/// The key of a label: [prefix/]name.
std::optional<std::string> check_label_key(std::string_view key);

/// The value of a label; empty is right.
std::optional<std::string> check_label_value(std::string_view value);

/// A container's name or a glob with "*".
std::optional<std::string> check_container_glob(std::string_view glob);

/// A value for CC or CXX: a program by name or absolute path, arguments after it.
std::optional<std::string> check_compiler(std::string_view text);

}  // namespace gobuildenv::goenv
