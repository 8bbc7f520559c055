#include "agent/toolchains/netrc.hpp"

#include <algorithm>

#include "kube/http_proxy.hpp"

namespace gobuildenv::agent {
namespace {

constexpr std::string_view kBlanks = " \t\r";

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t first = line.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return words;
    line.remove_prefix(first);
    const std::size_t end = std::min(line.find_first_of(kBlanks), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

}  // namespace

std::vector<NetrcLogin> parse_netrc(std::string_view text) {
  std::vector<NetrcLogin> out;
  NetrcLogin current;
  bool in_macro = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const auto words = words_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (in_macro) {
      in_macro = !words.empty();
      continue;
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words[i] == "default") return out;
      if (words[i] == "macdef") {
        in_macro = true;
        break;
      }
      if (i + 1 == words.size()) break;
      if (words[i] == "machine") {
        current = {lower(words[++i]), "", ""};
      } else if (words[i] == "login") {
        current.login = words[++i];
      } else if (words[i] == "password") {
        current.password = words[++i];
      }
      if (!current.machine.empty() && !current.login.empty() && !current.password.empty()) {
        out.push_back(current);
        current = {};
      }
    }
  }
  return out;
}

std::string authorization_for(const std::vector<NetrcLogin>& logins, std::string_view host) {
  const auto found = std::find_if(logins.begin(), logins.end(), [host](const NetrcLogin& login) {
    return login.machine == host;
  });
  return found == logins.end() ? "" : kube::basic_authorization(found->login, found->password);
}

}  // namespace gobuildenv::agent
