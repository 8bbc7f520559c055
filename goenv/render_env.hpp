#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "goenv/pod_plan.hpp"
#include "goenv/revision.hpp"
#include "goenv/spec.hpp"

/// spec → environment variables: which a build gets, and who else may see them.
namespace gobuildenv::goenv {

/// Where the pod webhook mounts the netrc Secret and the private CA.
inline constexpr std::string_view kCredentialsPath = "/etc/gobuildenv-credentials";
inline constexpr std::string_view kCaPath = "/etc/gobuildenv-ca";

/// The declared variables, in the order in which they are written everywhere.
struct DeclaredEnv {
  /// Read by Go alone, so that every process of the container may have them. An empty value hides
  /// what the image says: Go takes an empty variable for an unset one.
  std::vector<EnvVar> go;
  /// Read by other programs too (CC, HTTP_PROXY, NETRC, …): where the launcher is mounted they are
  /// for `go` and its children only, a Python build beside it keeps its own.
  std::vector<EnvVar> shared;
};

DeclaredEnv declared_env(const Spec& spec, std::string_view toolchain_version,
                         const RenderDefaults& defaults);

/// The text of the GOENV file: what of `env` may stand in one, and for cgo the compilers that Go's
/// own releases default to (a conda build of Go has the name of a compiler baked in that is often
/// not there).
std::string go_env_file(const Spec& spec, const DeclaredEnv& env);

/// `value` as it has to stand in a container's env, where Kubernetes expands $(NAME) and takes $$
/// for $.
std::string pod_literal(std::string_view value);

/// What a process sees of `literal`, a result of pod_literal().
std::string from_pod_literal(std::string_view literal);

}  // namespace gobuildenv::goenv
