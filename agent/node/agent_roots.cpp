#include "agent/node/agent_roots.hpp"

#include <sched.h>

#include <iterator>
#include <utility>

#include "agent/node/collection_roots.hpp"

namespace gobuildenv::agent {
namespace {

using collector::Root;

void append(std::vector<Root>& to, std::vector<Root> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

/// While others may wait for a lock that an idle thread holds, it is as urgent as they are.
class Urgent {
 public:
  Urgent() : policy_(::sched_getscheduler(0)) {
    if (policy_ == SCHED_IDLE) set(SCHED_OTHER);
  }
  ~Urgent() {
    if (policy_ == SCHED_IDLE) set(SCHED_IDLE);
  }
  Urgent(const Urgent&) = delete;
  Urgent& operator=(const Urgent&) = delete;

 private:
  static void set(int policy) {
    const sched_param none{};
    static_cast<void>(::sched_setscheduler(0, policy, &none));
  }
  int policy_;
};

}  // namespace

std::vector<Root> AgentRoots::roots() const {
  // Leases before records: the lease of a volume ends when its record is there.
  std::vector<Root> out;
  edges_.leases.append_to(out);
  const std::vector<VolumeRecord> records = edges_.registry.records();
  append(out, volume_roots(records));
  append(out, of_cluster(records));
  return out;
}

std::vector<Root> AgentRoots::of_cluster(const std::vector<VolumeRecord>& records) const {
  if (edges_.cluster == nullptr) return {};
  return edges_.cluster->known() ? edges_.cluster->roots(records) : offline_.roots();
}

std::vector<Root> AgentRoots::beside_volumes() const {
  std::vector<Root> out;
  edges_.leases.append_to(out);
  append(out, of_cluster(edges_.registry.records()));
  return out;
}

bool AgentRoots::if_unused(const std::string& path, const std::function<void()>& act) const {
  const Urgent urgent;
  return edges_.registry.if_unused(path, act);
}

}  // namespace gobuildenv::agent
