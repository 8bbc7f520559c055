#pragma once

#include <array>

#include "agent/node/collection.hpp"

namespace gobuildenv::agent {

/// The collector's series: labelled by kind of unit and nothing that grows with the cluster.
class CollectionMetrics {
 public:
  explicit CollectionMetrics(kube::Metrics& metrics);

  /// Sizes and the disk, after each look.
  void look(const CollectionState& state) const;
  void disk(const collector::Disk& disk) const;
  /// A run that has ended. `seconds`: its duration.
  void run(const collector::RunReport& report, double seconds,
           std::chrono::system_clock::time_point ended) const;
  void run_failed() const;

 private:
  struct Kind {
    kube::Gauge units, bytes, inodes;
    kube::Counter collected, reclaimed_bytes, reclaimed_inodes;
  };
  std::array<Kind, kUnitKinds> kinds_;
  kube::Gauge other_bytes_, trash_bytes_, trash_inodes_;
  kube::Gauge disk_bytes_, disk_free_, disk_inodes_, disk_inodes_free_;
  kube::Counter runs_ok_, runs_problem_, runs_failed_, failures_;
  kube::Gauge last_run_, run_seconds_, short_of_space_;
};

}  // namespace gobuildenv::agent
