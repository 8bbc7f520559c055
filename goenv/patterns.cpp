#include "goenv/patterns.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "goenv/goflags.hpp"
#include "goenv/names.hpp"
#include "goenv/text.hpp"

namespace gobuildenv::goenv {
namespace {

using Problem = std::optional<std::string>;

struct Url {
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
};

/// Splits "scheme://authority/path"; empty when there is no "://".
std::optional<Url> split_url(std::string_view url) {
  const auto colon = url.find("://");
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const auto rest = url.substr(colon + 3);
  const auto slash = std::min(rest.find_first_of("/?#"), rest.size());
  return Url{url.substr(0, colon), rest.substr(0, slash), rest.substr(slash)};
}

bool good_port(std::string_view port) {
  return !port.empty() && port.size() <= 5 && all_of(port, is_digit);
}

/// A host name, address or [IPv6], with a port if need be.
bool good_authority(std::string_view authority) {
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    const auto rest = authority.substr(end + 1);
    return rest.empty() || (rest.front() == ':' && good_port(rest.substr(1)));
  }
  const auto colon = authority.find(':');
  const auto host = authority.substr(0, colon);
  if (colon != std::string_view::npos && !good_port(authority.substr(colon + 1))) return false;
  return !host.empty() &&
         all_of(host, [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_'; });
}

bool dns_label(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         all_of(label, [](char c) { return is_lower(c) || is_digit(c) || c == '-'; });
}

bool dns_subdomain(std::string_view name) {
  if (name.size() > 253) return false;
  const auto labels = split(name, '.');
  return std::all_of(labels.begin(), labels.end(), dns_label);
}

/// Names of labels and their values: 63 characters, alphanumeric at both ends.
bool label_word(std::string_view word) {
  return !word.empty() && word.size() <= 63 && is_alnum(word.front()) && is_alnum(word.back()) &&
         all_of(word, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

constexpr std::string_view kNoCredentials =
    "must not hold a user or password: put them into a Secret with key netrc and name it in "
    "spec.modules.credentialsSecretRef";

}  // namespace

std::string redact_url(std::string_view url) {
  const auto parts = split_url(url);
  if (!parts) return printable(url.find('@') == std::string_view::npos ? url : "***");
  const auto at = parts->authority.rfind('@');
  if (at == std::string_view::npos) return printable(url);
  return printable(
      fmt::format("{}://***@{}{}", parts->scheme, parts->authority.substr(at + 1), parts->path));
}

Problem check_pattern(std::string_view pattern) {
  if (pattern.empty()) return "an empty pattern matches nothing: leave it out";
  if (pattern.find(',') != std::string_view::npos) {
    return "holds one pattern: write each as an item of its own";
  }
  if (has_space(pattern) || has_control(pattern)) return "must not hold white space";
  if (pattern.find("://") != std::string_view::npos) {
    return "is a URL: write module paths without a scheme, such as \"git.example.com/*\"";
  }
  // path.Match: "[" opens a class that must be closed and not empty, "\" needs a next character.
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\' && ++i >= pattern.size()) return "ends with a lone \"\\\"";
    if (pattern[i] != '[') continue;
    ++i;
    if (i < pattern.size() && pattern[i] == '^') ++i;
    const auto close = pattern.find(']', i);
    if (close == std::string_view::npos || close == i) return "has a \"[\" that is not closed";
    i = close;
  }
  return std::nullopt;
}

Problem check_path(std::string_view path) {
  if (!path.starts_with('/')) return "must be an absolute path: start it with \"/\"";
  if (path.size() == 1) return "must be a directory below \"/\"";
  if (path.size() > 512) return "must have at most 512 characters";
  for (const auto part : split(path.substr(1), '/')) {
    if (part.empty() || part == "." || part == "..") {
      return "must be written without a \"/\" at its end, \"//\", \".\" or \"..\"";
    }
  }
  if (has_control(path) || path.find_first_of(" :,\"'`$\\") != std::string_view::npos) {
    return "must not hold white space, quotes, \"\\\", \"$\", \"`\", \",\" or \":\", which "
           "separate "
           "paths and break shells";
  }
  return std::nullopt;
}

Problem check_proxy_url(std::string_view url) {
  if (url == "direct" || url == "off") return std::nullopt;
  if (url.empty()) return "is missing: write an https:// URL, \"direct\" or \"off\"";
  if (has_space(url) || has_control(url) || url.find_first_of(",|") != std::string_view::npos) {
    return "url holds one proxy: write each as an item of its own, with fallback instead of \",\" "
           "or \"|\"";
  }
  const auto parts = split_url(url);
  if (!parts || (parts->scheme != "https" && parts->scheme != "http" && parts->scheme != "file")) {
    return "must be an https://, http:// or file:/// URL, \"direct\" or \"off\"";
  }
  if (parts->authority.find('@') != std::string_view::npos) return std::string(kNoCredentials);
  if (parts->scheme == "file") {
    if (!parts->authority.empty() || parts->path.size() < 2) {
      return "must be file:/// and an absolute path";
    }
    return std::nullopt;
  }
  if (!good_authority(parts->authority)) {
    return "must name a host, with a port if need be, after \"://\"";
  }
  if (parts->path.find_first_of("?#") != std::string_view::npos) {
    return "must not hold a query or fragment: go appends module paths to it";
  }
  return std::nullopt;
}

Problem check_http_proxy(std::string_view url) {
  if (url.empty()) return std::nullopt;
  const auto parts = split_url(url);
  if (has_space(url) || has_control(url) || !parts ||
      (parts->scheme != "http" && parts->scheme != "https" && parts->scheme != "socks5" &&
       parts->scheme != "socks5h")) {
    return "must be a URL such as \"http://proxy.example:3128\"";
  }
  if (parts->authority.find('@') != std::string_view::npos) {
    return "must not hold a user or password: every container would show it";
  }
  if (!good_authority(parts->authority)) {
    return "must name a host, with a port if need be, after \"://\"";
  }
  return std::nullopt;
}

Problem check_no_proxy(std::string_view list) {
  if (list.empty()) return std::nullopt;
  for (const auto part : split(list, ',')) {
    const auto host = trim(part);
    const bool good = !host.empty() && all_of(host, [](char c) {
      return is_alnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '/' || c == '*' ||
             c == '[' || c == ']';
    });
    if (!good) return "must be hosts, domains or networks separated by commas, without schemes";
    if (host.find("//") != std::string_view::npos) return "must name hosts without a scheme";
  }
  return std::nullopt;
}

Problem check_sum_db(std::string_view text) {
  if (text.empty() || text == "off") return std::nullopt;
  if (has_control(text)) return "holds a control character";
  const auto words = split(text, ' ');
  if (words.size() > 2 || words[0].empty()) {
    return "must be \"off\", a name, or \"name+key\" with a URL after a space";
  }
  if (words.size() == 2) {
    const auto url = split_url(words[1]);
    if (!url || (url->scheme != "https" && url->scheme != "http")) {
      return "must have an https:// URL after the space";
    }
    if (url->authority.find('@') != std::string_view::npos) return std::string(kNoCredentials);
  }
  const auto parts = split(words[0], '+');
  const bool good_name = all_of(parts[0], [](char c) {
    return is_alnum(c) || c == '.' || c == '-' || c == '/' || c == ':' || c == '_';
  });
  if (parts[0].empty() || !good_name || words[0].find("://") != std::string_view::npos) {
    return "must start with the name of a checksum database; a URL comes after it and a space";
  }
  return std::nullopt;
}

Problem check_image(std::string_view reference) {
  constexpr std::string_view kWrong =
      "is not an image reference, such as \"registry.example/ci/conda:2024.1\"";
  if (reference.starts_with(kPlaceholderImage.substr(0, kPlaceholderImage.find('/')))) {
    return "is the placeholder itself, which no registry serves: name a real image";
  }
  if (reference.find("://") != std::string_view::npos) {
    return "is not an image reference: leave out the scheme";
  }
  const auto at = reference.find('@');
  if (at != std::string_view::npos) {
    const auto digest = reference.substr(at + 1);
    const bool hex = all_of(digest.substr(std::min<std::size_t>(7, digest.size())),
                            [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); });
    if (!digest.starts_with("sha256:") || digest.size() != 71 || !hex) {
      return "has a malformed digest: write \"@sha256:\" and 64 hex digits";
    }
    reference = reference.substr(0, at);
  }
  const auto slash = reference.rfind('/');
  const auto colon = reference.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    const auto tag = reference.substr(colon + 1);
    const bool good =
        !tag.empty() && tag.size() <= 128 && tag.front() != '.' && tag.front() != '-' &&
        all_of(tag, [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_'; });
    if (!good) return "has a malformed tag after \":\"";
    reference = reference.substr(0, colon);
  }
  auto parts = split(reference, '/');
  const bool has_host =
      parts.size() > 1 &&
      (parts[0].find_first_of(".:") != std::string_view::npos || parts[0] == "localhost");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool good = i == 0 && has_host
                          ? good_authority(parts[0])
                          : !parts[i].empty() && all_of(parts[i], [](char c) {
                              return is_lower(c) || is_digit(c) || c == '.' || c == '-' || c == '_';
                            });
    if (!good) return std::string(kWrong);
  }
  return std::nullopt;
}

Problem check_h1(std::string_view sum) {
  const bool good =
      sum.size() == 47 && sum.starts_with("h1:") && sum.back() == '=' &&
      all_of(sum.substr(3, 43), [](char c) { return is_alnum(c) || c == '+' || c == '/'; });
  if (good) return std::nullopt;
  return "is not an h1 checksum: write \"h1:\" and 44 characters of base64, as go.sum has them";
}

Problem check_object_name(std::string_view name) {
  if (dns_subdomain(name)) return std::nullopt;
  return "is not a name: use lower-case letters, digits, \"-\" and \".\", at most 253 characters, "
         "with a letter or digit at both ends";
}

Problem check_config_map_key(std::string_view key) {
  const bool good =
      !key.empty() && key.size() <= 253 && key != "." && !key.starts_with("..") &&
      all_of(key, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
  if (good) return std::nullopt;
  return "is not a key: use letters, digits, \"-\", \"_\" and \".\"";
}

Problem check_label_key(std::string_view key) {
  const auto slash = key.find('/');
  const bool good = slash == std::string_view::npos
                        ? label_word(key)
                        : dns_subdomain(key.substr(0, slash)) && label_word(key.substr(slash + 1));
  if (good) return std::nullopt;
  return "is not a label's key: write name or example.com/name";
}

Problem check_label_value(std::string_view value) {
  if (value.empty() || label_word(value)) return std::nullopt;
  return "is not a label's value: use at most 63 letters, digits, \"-\", \"_\" and \".\"";
}

Problem check_container_glob(std::string_view glob) {
  const bool good = !glob.empty() && glob.size() <= 63 && all_of(glob, [](char c) {
    return is_lower(c) || is_digit(c) || c == '-' || c == '*';
  });
  if (good) return std::nullopt;
  return "is not a container's name or glob: use lower-case letters, digits, \"-\" and \"*\"";
}

Problem check_compiler(std::string_view text) {
  if (text.empty()) return std::nullopt;
  if (has_control(text)) return "holds a control character";
  const auto words = split_quoted(text);
  if (!words) return words.error();
  if (words->empty() || words->front().empty()) return "names no program";
  const std::string& program = words->front();
  if (program.find('/') != std::string::npos && program.front() != '/') {
    return "must be a name on PATH or an absolute path: go refuses a relative one";
  }
  return std::nullopt;
}

}  // namespace gobuildenv::goenv
