#include "controllers/nodes/sweep.hpp"

#include <algorithm>
#include <vector>

#include "controllers/gobuildenv/status.hpp"
#include "controllers/nodes/decide.hpp"

namespace gobuildenv::controllers {

kube::Clock::Duration NodeSweep::delay() const {
  const std::scoped_lock lock(mutex_);
  kube::Clock::Duration out = options_.settle;
  if (last_pass_) out = std::max(out, *last_pass_ + options_.every - clock_.now());
  return out;
}

kube::ReconcileResult NodeSweep::pass() {
  {
    const std::scoped_lock lock(mutex_);
    last_pass_ = clock_.now();
    // What was let through and not looked at since: its turn comes again.
    due_.clear();
  }
  std::vector<kube::ObjectKey> turned;
  std::vector<kube::ObjectKey> counted;
  const bool no_agent = tally_.count({}, {}).agents == 0;
  for (auto& item : environments_.items()) {
    const EnvironmentRecord& record = *item.value;
    // Without agents, and with nothing said of them, there is nothing to compare.
    if (record.deleting || (no_agent && !record.tells_of_nodes)) continue;
    const crds::Status status = unpack_status(record.status);
    const NodeFacts nodes = tally_.count(status.toolchain.version, record.rare().sums);
    if (!nodes_differ(status, nodes, record.mounted, record.generation)) continue;
    crds::Status next = status;
    set_nodes(next, nodes, record.mounted, record.generation, 0);
    const crds::Condition* before = status.find(kToolchainReady);
    const crds::Condition* after = next.find(kToolchainReady);
    const bool same = (before == nullptr) == (after == nullptr) &&
                      (before == nullptr || before->status == after->status);
    (same ? counted : turned).push_back(std::move(item.meta.key));
  }
  turned.insert(turned.end(), counted.begin(), counted.end());
  if (turned.empty()) return kube::ReconcileResult::done();
  if (turned.size() > options_.per_pass) turned.resize(options_.per_pass);
  {
    const std::scoped_lock lock(mutex_);
    due_.insert(turned.begin(), turned.end());
  }
  for (const kube::ObjectKey& key : turned) enqueue_(key);
  return kube::ReconcileResult::requeue_after(options_.every);
}

bool NodeSweep::take_due(const kube::ObjectKey& environment) {
  const std::scoped_lock lock(mutex_);
  return due_.erase(environment) > 0;
}

}  // namespace gobuildenv::controllers
