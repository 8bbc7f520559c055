#include "agent/collector/collector.hpp"

namespace gobuildenv::agent::collector {

Leases::Lease::~Lease() {
  if (owner_ == nullptr) return;
  const std::lock_guard lock(owner_->mutex_);
  owner_->held_.erase(id_);
}

Leases::Lease Leases::take(std::string path, std::string why) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t id = next_++;
  held_.emplace(id, Root{std::move(path), std::move(why)});
  return {this, id};
}

void Leases::append_to(std::vector<Root>& roots) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, root] : held_) roots.push_back(root);
}

}  // namespace gobuildenv::agent::collector
