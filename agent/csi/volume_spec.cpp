#include "agent/csi/volume_spec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "goenv/enum_names.hpp"

namespace gobuildenv::agent {
namespace {

using tl::unexpected;

constexpr std::string_view kPodName = "csi.storage.k8s.io/pod.name";
constexpr std::string_view kPodNamespace = "csi.storage.k8s.io/pod.namespace";
constexpr std::string_view kPodUid = "csi.storage.k8s.io/pod.uid";
constexpr std::string_view kServiceAccount = "csi.storage.k8s.io/serviceAccount.name";
constexpr std::string_view kEphemeral = "csi.storage.k8s.io/ephemeral";

constexpr std::size_t kMaxShown = 80;

struct KindName {
  VolumeKind kind;
  std::string_view name;
};
constexpr std::array<KindName, 3> kKinds{{{VolumeKind::Toolchain, "toolchain"},
                                          {VolumeKind::Modules, "modules"},
                                          {VolumeKind::Build, "build"}}};

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alnum(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z'); }

/// DNS-1123 subdomain, which all the names in question are; a label where dots are not allowed.
bool is_name(std::string_view text, std::size_t max, bool dots) {
  if (text.empty() || text.size() > max) return false;
  if (!is_lower_or_digit(text.front()) || !is_lower_or_digit(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [dots](char c) {
    return is_lower_or_digit(c) || c == '-' || (dots && c == '.');
  });
}

bool is_uid(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_alnum(c) || c == '-'; });
}

/// `text` in quotes, short and in printable ASCII: it goes into logs and Events.
std::string shown(std::string_view text) {
  std::string out = "\"";
  for (const signed char c : text.substr(0, kMaxShown)) {
    out += c < 0x20 || c == '"' || c == 0x7f ? '?' : static_cast<char>(c);
  }
  out += text.size() > kMaxShown ? "…\"" : "\"";
  return out;
}

std::string_view attribute(const PublishCall& call, std::string_view name) {
  const auto found = call.attributes.find(std::string(name));
  return found == call.attributes.end() ? std::string_view() : std::string_view(found->second);
}

tl::expected<PodIdentity, std::string> parse_pod(const PublishCall& call) {
  if (attribute(call, kEphemeral) != "true") {
    return unexpected(
        fmt::format("{}: {}; this driver serves inline volumes of pods only: write the volume into "
                    "the pod as csi: {{driver: gobuildenv.dev}}, and let the CSIDriver say "
                    "podInfoOnMount: true and volumeLifecycleModes: [Ephemeral]",
                    kEphemeral, shown(attribute(call, kEphemeral))));
  }
  PodIdentity pod;
  pod.ns = attribute(call, kPodNamespace);
  pod.name = attribute(call, kPodName);
  pod.uid = attribute(call, kPodUid);
  pod.service_account = attribute(call, kServiceAccount);
  const auto missing = [](std::string_view key, std::string_view value) {
    return unexpected(fmt::format(
        "{}: {}; the kubelet says it where the CSIDriver gobuildenv.dev has podInfoOnMount: true",
        key, shown(value)));
  };
  if (!is_name(pod.ns, 63, false)) return missing(kPodNamespace, pod.ns);
  if (!is_name(pod.name, 253, true)) return missing(kPodName, pod.name);
  if (!is_uid(pod.uid)) return missing(kPodUid, pod.uid);
  if (!pod.service_account.empty() && !is_name(pod.service_account, 253, true)) {
    return missing(kServiceAccount, pod.service_account);
  }
  return pod;
}

tl::expected<void, std::string> check_capability(const PublishCall& call) {
  if (!call.mount_capability) {
    return unexpected<std::string>(
        "volume_capability: block; these volumes are folders, use volumeMounts");
  }
  if (!call.fs_type.empty()) {
    return unexpected(
        fmt::format("fsType: {}; these volumes are folders of the node: leave fsType out",
                    shown(call.fs_type)));
  }
  if (!call.mount_flags.empty()) {
    return unexpected(
        fmt::format("mount_flags: {}; these volumes take none", shown(call.mount_flags.front())));
  }
  return {};
}

tl::expected<std::optional<std::uint32_t>, std::string> parse_group(const std::string& text) {
  if (text.empty()) return std::nullopt;
  std::uint32_t group = 0;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, group);
  if (error != std::errc{} || end != last || group > 0x7fffffff) {
    return unexpected(fmt::format(
        "volume_mount_group: {}; the pod's fsGroup is a number from 0 to 2147483647", shown(text)));
  }
  return group;
}

tl::expected<void, std::string> read_toolchain(const PublishCall& call, VolumeSpec& spec) {
  const std::string_view text = attribute(call, "toolchain");
  if (text.empty() && spec.kind != VolumeKind::Toolchain) return {};
  const auto version = goenv::parse_version(text);
  if (!version) {
    return unexpected(fmt::format(
        "volumeAttributes.toolchain: {}; write a release such as \"1.22.3\"", shown(text)));
  }
  if (version->is_range()) {
    return unexpected(fmt::format(
        "volumeAttributes.toolchain: {}; name a release with its patch number, as in \"{}.0\"",
        shown(text), text));
  }
  if (*version < goenv::kMinimumGo) {
    return unexpected(fmt::format("volumeAttributes.toolchain: {}; the oldest served is {}",
                                  shown(text), goenv::to_string(goenv::kMinimumGo)));
  }
  spec.toolchain = *version;
  return {};
}

tl::expected<void, std::string> read_attributes(const PublishCall& call, VolumeSpec& spec) {
  const std::string_view kind = attribute(call, "kind");
  const auto known = parse_volume_kind(kind);
  if (!known) {
    return unexpected(
        fmt::format("volumeAttributes.kind: {}; write toolchain, modules or build", shown(kind)));
  }
  spec.kind = *known;
  spec.environment = attribute(call, "environment");
  if (!is_name(spec.environment, 253, true)) {
    return unexpected(fmt::format(
        "volumeAttributes.environment: {}; write the name of a GoBuildEnv in the pod's namespace",
        shown(spec.environment)));
  }
  spec.revision = attribute(call, "revision");
  if (!spec.revision.empty() && !is_name(spec.revision, 63, false)) {
    return unexpected(fmt::format(
        "volumeAttributes.revision: {}; write the revision that {} serves, or leave it out",
        shown(spec.revision), spec.environment));
  }
  const std::string_view scope = attribute(call, "scope");
  if (!scope.empty()) {
    const auto parsed = goenv::enum_value<goenv::CacheScope>(scope);
    if (!parsed) {
      return unexpected(fmt::format(
          "volumeAttributes.scope: {}; write Pod, Environment or Namespace", shown(scope)));
    }
    spec.scope = *parsed;
  }
  return read_toolchain(call, spec);
}

}  // namespace

std::string_view to_string(VolumeKind kind) { return kKinds[static_cast<std::size_t>(kind)].name; }

std::optional<VolumeKind> parse_volume_kind(std::string_view text) {
  for (const KindName& one : kKinds) {
    if (one.name == text) return one.kind;
  }
  return std::nullopt;
}

bool is_volume_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && is_alnum(id.front()) &&
         std::all_of(id.begin(), id.end(),
                     [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

std::string bad_volume_id(std::string_view id) {
  return fmt::format(
      "volume_id: {}; an id has 1 to 128 letters, digits, '.', '_' and '-' and begins with one of "
      "the first two",
      shown(id));
}

tl::expected<std::string, std::string> parse_target(std::string_view target_path,
                                                    std::string_view pods_dir) {
  const auto refuse = [&] {
    return unexpected(fmt::format(
        "target_path: {}; a volume's place is {}/<uid>/volumes/kubernetes.io~csi/<volume>/mount "
        "(the kubelet's folder is set by --kubelet-dir)",
        shown(target_path), pods_dir));
  };
  constexpr std::string_view kMiddle = "/volumes/kubernetes.io~csi/";
  constexpr std::string_view kEnd = "/mount";
  std::string_view rest = target_path;
  if (!rest.starts_with(pods_dir)) return refuse();
  rest.remove_prefix(pods_dir.size());
  if (!rest.starts_with('/')) return refuse();
  rest.remove_prefix(1);
  const std::string_view below = rest;
  const auto middle = rest.find(kMiddle);
  if (middle == std::string_view::npos || !rest.ends_with(kEnd) ||
      middle + kMiddle.size() + kEnd.size() > rest.size()) {
    return refuse();
  }
  const std::string_view uid = rest.substr(0, middle);
  rest.remove_prefix(middle + kMiddle.size());
  rest.remove_suffix(kEnd.size());
  if (!is_uid(uid) || !is_name(rest, 253, true)) return refuse();
  return std::string(below);
}

tl::expected<VolumeSpec, std::string> parse_publish(const PublishCall& call,
                                                    std::string_view pods_dir) {
  if (!is_volume_id(call.volume_id)) return unexpected(bad_volume_id(call.volume_id));
  VolumeSpec spec;
  spec.volume_id = call.volume_id;
  auto target = parse_target(call.target_path, pods_dir);
  if (!target) return unexpected(std::move(target.error()));
  spec.target = std::move(*target);
  if (auto capability = check_capability(call); !capability) {
    return unexpected(std::move(capability.error()));
  }
  auto pod = parse_pod(call);
  if (!pod) return unexpected(std::move(pod.error()));
  spec.pod = std::move(*pod);
  if (spec.target.substr(0, spec.target.find('/')) != spec.pod.uid) {
    return unexpected(fmt::format("target_path: {}; it belongs to another pod than {} {}",
                                  shown(call.target_path), kPodUid, shown(spec.pod.uid)));
  }
  auto group = parse_group(call.mount_group);
  if (!group) return unexpected(std::move(group.error()));
  spec.group = *group;
  if (auto read = read_attributes(call, spec); !read) return unexpected(std::move(read.error()));
  return spec;
}

}  // namespace gobuildenv::agent
