#include "operator/manager_options.hpp"

#include <algorithm>

namespace gobuildenv::cli {

std::vector<std::string> excluded_namespaces(const ManagerFlags& flags, const std::string& own) {
  std::vector<std::string> out{"kube-system"};
  const auto add = [&out](const std::string& ns) {
    if (!ns.empty() && std::find(out.begin(), out.end(), ns) == out.end()) out.push_back(ns);
  };
  add(own);
  for (const std::string& ns : flags.exclude_namespaces) add(ns);
  return out;
}

}  // namespace gobuildenv::cli
