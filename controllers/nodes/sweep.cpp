#include "controllers/nodes/sweep.hpp"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace gobuildenv::controllers {

NodeSweepMetrics::NodeSweepMetrics(kube::Metrics* metrics) {
  if (metrics == nullptr) return;
  passes = metrics->counter("gobuildenv_node_sweep_passes_total",
                            "Comparisons of what GoBuildEnvs tell of nodes with the nodes.");
  compared = metrics->counter("gobuildenv_node_sweep_compared_total",
                              "Different tellings that were compared; equal ones count as one.");
  due = metrics->counter("gobuildenv_node_sweep_environments_total",
                         "GoBuildEnvs that were let through to tell of nodes anew.");
}

kube::Clock::Duration NodeSweep::delay() const {
  const std::scoped_lock lock(mutex_);
  kube::Clock::Duration out = options_.settle;
  if (last_pass_) out = std::max(out, *last_pass_ + options_.every - clock_.now());
  return out;
}

NodesNews NodeSweep::news_of(const EnvironmentRecord& record, Compared& compared) const {
  const NodesTold* told = record.nodes.get();
  if (record.deleting || told == nullptr) return NodesNews::None;
  const auto [at, fresh] = compared.try_emplace(told, NodesNews::None);
  if (fresh) at->second = nodes_news(*told, tally_.count(told->version, told->sums));
  return at->second;
}

kube::ReconcileResult NodeSweep::pass() {
  {
    const std::scoped_lock lock(mutex_);
    last_pass_ = clock_.now();
    // What was let through and not looked at since: its turn comes again.
    due_.clear();
  }
  Compared compared;
  std::vector<kube::ObjectKey> due = environments_.keys_where(
      [&](const auto& record) { return news_of(record, compared) == NodesNews::Condition; });
  if (due.size() < options_.per_pass) {
    std::vector<kube::ObjectKey> counted = environments_.keys_where(
        [&](const auto& record) { return news_of(record, compared) == NodesNews::Counts; });
    due.insert(due.end(), std::make_move_iterator(counted.begin()),
               std::make_move_iterator(counted.end()));
  }
  metrics_.passes.add();
  metrics_.compared.add(static_cast<double>(compared.size()));
  if (due.empty()) return kube::ReconcileResult::done();
  if (due.size() > options_.per_pass) due.resize(options_.per_pass);
  metrics_.due.add(static_cast<double>(due.size()));
  {
    const std::scoped_lock lock(mutex_);
    due_.insert(due.begin(), due.end());
  }
  for (const kube::ObjectKey& key : due) enqueue_(key);
  return kube::ReconcileResult::requeue_after(options_.every);
}

bool NodeSweep::take_due(const kube::ObjectKey& environment) {
  const std::scoped_lock lock(mutex_);
  return due_.erase(environment) > 0;
}

}  // namespace gobuildenv::controllers
