#include "kube/health.hpp"

#include <algorithm>

namespace gobuildenv::kube {
namespace {

struct Query {
  bool verbose = false;
  std::vector<std::string> exclude;
};

Query parse_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const auto end = std::min(text.find('&'), text.size());
    const auto part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kExclude = "exclude=";
    if (part == "verbose" || part.starts_with("verbose=")) {
      query.verbose = true;
    } else if (part.starts_with(kExclude)) {
      query.exclude.emplace_back(part.substr(kExclude.size()));
    }
  }
  return query;
}

}  // namespace

void HealthChecks::add(std::string check_name, HealthCheck check) {
  const std::lock_guard lock(mutex_);
  const auto same = std::find_if(checks_.begin(), checks_.end(),
                                 [&](const auto& entry) { return entry.first == check_name; });
  if (same != checks_.end()) {
    same->second = std::move(check);
  } else {
    checks_.emplace_back(std::move(check_name), std::move(check));
  }
}

HealthAnswer HealthChecks::answer(std::string_view target) const {
  const auto question = std::min(target.find('?'), target.size());
  std::string_view path = target.substr(0, question);
  const Query query = parse_query(target.substr(std::min(question + 1, target.size())));
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);

  std::vector<std::pair<std::string, HealthCheck>> checks;
  {
    const std::lock_guard lock(mutex_);
    checks = checks_;  // run without the lock: a check may be slow, or add another
  }
  if (path != name_) {
    const auto slash = path.find('/');
    const auto wanted = slash == std::string_view::npos ? path : path.substr(slash + 1);
    std::erase_if(checks, [&](const auto& entry) { return entry.first != wanted; });
    if (path.substr(0, slash) != name_ || checks.empty()) {
      return {404, "no such check: " + std::string(path) + "\n"};
    }
  }

  std::string report;
  bool failed = false;
  for (const auto& [check_name, check] : checks) {
    if (std::find(query.exclude.begin(), query.exclude.end(), check_name) != query.exclude.end()) {
      report += "[+]" + check_name + " excluded: ok\n";
    } else if (const auto reason = check()) {
      report += "[-]" + check_name + " failed: " + *reason + "\n";
      failed = true;
    } else {
      report += "[+]" + check_name + " ok\n";
    }
  }
  if (failed) return {500, report + name_ + " check failed\n"};
  if (query.verbose) return {200, report + name_ + " check passed\n"};
  return {200, "ok"};
}

}  // namespace gobuildenv::kube
