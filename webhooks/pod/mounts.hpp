#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "webhooks/pod/changes.hpp"

/// Which of an environment's mounts a container can take.
namespace gobuildenv::webhooks {

struct WantedMount {
  enum class Kind {
    Directory,  ///< without it the environment does not work: files, toolchain, credentials, CA
    Cache,      ///< a directory that the container may bring itself
    File,       ///< launcher or hook over a file of the image; left out where it would not be seen
  };
  std::string_view volume;
  std::string path;  ///< clean
  std::string_view sub_path;
  bool read_only = false;
  Kind kind = Kind::Directory;
  std::string json;  ///< the volumeMount
};

/// All mounts of the environment, no two at one path. Views point into the plan.
std::vector<WantedMount> wanted_mounts(const InjectionInput& input);

/// Fills `decision.mounts`, with views into `wanted`. Gives the reason why the container cannot be
/// changed at all: one of its own mounts is in the way of a directory the environment needs. Empty:
/// it can.
std::string decide_mounts(const PodView& pod, const std::vector<WantedMount>& wanted,
                          ContainerDecision& decision);

/// One clause about the mounts that were left out, empty when none was.
std::string describe_skipped(const std::vector<MountDecision>& mounts);

}  // namespace gobuildenv::webhooks
