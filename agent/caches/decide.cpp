#include "agent/caches/decide.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "goenv/enum_names.hpp"

namespace gobuildenv::agent {
namespace {

using goenv::CacheScope;

std::string_view folder_of(VolumeKind kind) { return kind == VolumeKind::Build ? "build" : "mod"; }

CacheScope scope_of(VolumeKind kind, const goenv::Cache& declared) {
  return kind == VolumeKind::Build ? declared.build : declared.modules;
}

CacheScope narrower(CacheScope a, CacheScope b) { return std::min(a, b); }
static_assert(CacheScope::Pod < CacheScope::Environment);
static_assert(CacheScope::Environment < CacheScope::Namespace);

/// "caches/<uid>/<owner>/<kind>" → "<owner>"
std::string_view owner_of(std::string_view cache) {
  cache = cache.substr(0, cache.rfind('/'));
  return cache.substr(cache.rfind('/') + 1);
}

bool is_uid(std::string_view uid) {
  return !uid.empty() && uid.size() <= 64 && std::all_of(uid.begin(), uid.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

}  // namespace

std::string_view namespace_uid_of(std::string_view cache) {
  cache.remove_prefix(std::min(cache.size(), std::string_view("caches/").size()));
  return cache.substr(0, cache.find('/'));
}

CacheAnswer decide_cache(const CacheFacts& facts) {
  const VolumeSpec& spec = facts.spec;
  CacheAnswer out;
  if (spec.kind == VolumeKind::Toolchain || spec.scope == CacheScope::Pod) return out;
  if (!facts.declared) {
    out.why = fmt::format("namespace {} has no GoBuildEnv {}", spec.pod.ns, spec.environment);
    return out;
  }
  const CacheScope declared = scope_of(spec.kind, *facts.declared);
  const CacheScope scope = narrower(spec.scope, declared);
  if (scope == CacheScope::Pod) {
    out.why = fmt::format("GoBuildEnv {}/{} declares scope {} for it", spec.pod.ns,
                          spec.environment, goenv::enum_name(declared));
    return out;
  }
  if (!is_uid(facts.namespace_uid)) {
    out.kind = CacheAnswer::Kind::Unknown;
    out.why = fmt::format("the uid of namespace {} is not known yet", spec.pod.ns);
    return out;
  }
  out.kind = CacheAnswer::Kind::Shared;
  out.cache = fmt::format(
      "caches/{}/{}/{}", facts.namespace_uid,
      scope == CacheScope::Namespace ? kNamespaceOwner : std::string_view(spec.environment),
      folder_of(spec.kind));
  return out;
}

std::string why_not_promote(const VolumeRecord& record,
                            const std::optional<goenv::Cache>& declared) {
  if (!is_cache(record.cache)) return "the pod's cache was its own";
  const PodIdentity& pod = record.pod;
  if (!declared) {
    return fmt::format("namespace {} has no GoBuildEnv {}", pod.ns, record.environment);
  }
  const std::string_view owner = owner_of(record.cache);
  const bool whole_namespace = owner == kNamespaceOwner;
  const CacheScope now = scope_of(record.kind, *declared);
  if ((!whole_namespace && owner != record.environment) || now == CacheScope::Pod ||
      (whole_namespace && now != CacheScope::Namespace)) {
    return fmt::format("GoBuildEnv {}/{} does not share it any more", pod.ns, record.environment);
  }
  const auto& trusted = declared->trusted_service_accounts;
  if (pod.service_account.empty() ||
      std::find(trusted.begin(), trusted.end(), pod.service_account) == trusted.end()) {
    return fmt::format(
        "service account \"{}\" is not in spec.cache.trustedServiceAccounts of GoBuildEnv {}/{}",
        pod.service_account, pod.ns, record.environment);
  }
  return {};
}

}  // namespace gobuildenv::agent
