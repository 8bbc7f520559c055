#pragma once

#include <string>
#include <string_view>

namespace gobuildenv::webhooks {

/// The absolute path without empty, `.` and `..` elements and without a trailing slash; "/" for the
/// root. What the container runtime compares when it mounts.
inline std::string clean_path(std::string_view path) {
  std::string clean;
  std::size_t at = 0;
  while (at < path.size()) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    const std::string_view part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      clean.resize(clean.empty() ? 0 : clean.rfind('/'));
      continue;
    }
    clean += '/';
    clean += part;
  }
  return clean.empty() ? "/" : clean;
}

/// Whether clean_path() would leave `path` as it is; most are, and need no copy.
inline bool is_clean_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return false;
  if (path.size() == 1) return true;
  if (path.back() == '/') return false;
  const char* const end = path.data() + path.size();
  for (const char* at = path.data(); at + 1 != end; ++at) {
    // Only what begins with a dot or is empty can be unclean.
    if (at[0] != '/' || (at[1] != '/' && at[1] != '.')) continue;
    if (at[1] == '/' || at + 2 == end || at[2] == '/') return false;
    if (at[2] == '.' && (at + 3 == end || at[3] == '/')) return false;
  }
  return true;
}

/// Whether `path` lies strictly below `directory`; both clean.
inline bool is_below(std::string_view path, std::string_view directory) {
  if (directory == "/") return path.size() > 1;
  return path.size() > directory.size() && path.substr(0, directory.size()) == directory &&
         path[directory.size()] == '/';
}

}  // namespace gobuildenv::webhooks
