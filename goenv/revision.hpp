#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "goenv/pod_plan.hpp"
#include "goenv/spec.hpp"

/// spec → Revision: the immutable, content-addressed rendering of an environment.
namespace gobuildenv::goenv {

/// What the operator's configuration (flags, chart values, its own environment) adds to a spec.
struct RenderDefaults {
  std::vector<Proxy> proxies;  ///< when the spec names none; empty: the toolchain's own go.env
  std::string sum_db;          ///< when the spec names none; empty: Go's default
};

/// The content of a revision. `data` is the ConfigMap's: "go.env", "activate.sh", "deactivate.sh",
/// "go", "preflight.sh" and "pod.json".
struct Revision {
  std::map<std::string, std::string> data;
  PodPlan plan;
};

/// Lower-case hex SHA-256 of its argument (crds/digest.hpp has the OpenSSL one).
using Sha256Hex = std::function<std::string(std::string_view)>;

/// Renders `spec` with the toolchain version that resolution gave ("1.22.3"). Pure and total for
/// every spec that validate() accepts; the same input gives the same bytes for ever within one
/// renderer version.
Revision render(const Spec& spec, std::string_view toolchain_version,
                const RenderDefaults& defaults);

/// The version of the renderer, part of pod.json: changes when the same spec renders differently.
extern const std::string_view kRendererVersion;

/// Salts that are tried for a revision: none, then "1" and so on.
inline constexpr int kMaxSalts = 100;

/// The salt of a try, from 0.
std::string salt_of(int attempt);

/// Ten hex digits that name `data`: SHA-256 over the salt and, in key order, every key and value,
/// each framed by its length. `salt` is empty but for a recreated revision whose name was spoilt.
std::string content_hash(const std::map<std::string, std::string>& data, std::string_view salt,
                         const Sha256Hex& sha256);

/// "<environment>-<hash>", the name of the revision's ConfigMap.
std::string config_map_name(std::string_view environment, std::string_view hash);

}  // namespace gobuildenv::goenv
