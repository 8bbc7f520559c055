#pragma once

#include <string>

#include "agent/csi/volume_spec.hpp"

namespace gobuildenv::agent::testing {

inline constexpr const char* kPods = "/var/lib/kubelet/pods";
inline constexpr const char* kUid = "0b1f7d0e-6f0b-4f43-9b7a-1c7e1c8b2a55";

inline std::string target_of(const std::string& uid, const std::string& volume) {
  return uid + "/volumes/kubernetes.io~csi/" + volume + "/mount";
}

/// What the kubelet sends for the toolchain volume that the webhook wrote.
inline PublishCall toolchain_call(const std::string& pods = kPods) {
  PublishCall call;
  call.volume_id = "csi-1";
  call.target_path = pods + "/" + target_of(kUid, "gobuildenv-toolchain");
  call.attributes = {{"kind", "toolchain"},
                     {"environment", "ci"},
                     {"revision", "0123456789"},
                     {"toolchain", "1.22.3"},
                     {"csi.storage.k8s.io/ephemeral", "true"},
                     {"csi.storage.k8s.io/pod.name", "build-1"},
                     {"csi.storage.k8s.io/pod.namespace", "team-a"},
                     {"csi.storage.k8s.io/pod.uid", kUid},
                     {"csi.storage.k8s.io/serviceAccount.name", "default"}};
  return call;
}

inline PublishCall cache_call(const std::string& pods = kPods) {
  PublishCall call = toolchain_call(pods);
  call.volume_id = "csi-2";
  call.target_path = pods + "/" + target_of(kUid, "gobuildenv-modcache");
  call.attributes["kind"] = "modules";
  call.attributes["scope"] = "Environment";
  return call;
}

}  // namespace gobuildenv::agent::testing
