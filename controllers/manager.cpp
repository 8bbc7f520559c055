#include "controllers/manager.hpp"

#include <utility>

#include "controllers/manager/impl.hpp"

namespace gobuildenv::controllers {

Manager::Manager(ManagerOptions options, ManagerEdges edges)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(edges))) {}

Manager::~Manager() { impl_->release_lease(); }

const webhooks::EnvironmentLookup& Manager::lookup() const { return impl_->lookup; }

void Manager::add_checks(kube::HealthChecks& live, kube::HealthChecks& ready) {
  Impl* impl = impl_.get();
  live.add("workers", [impl]() -> std::optional<std::string> {
    const bool hung = impl->environment_controller.hung() || impl->missed_controller.hung() ||
                      impl->certificates.hung() || impl->nodes.hung();
    if (hung) return "a worker has held one key for too long";
    return std::nullopt;
  });
  ready.add("caches", [impl]() -> std::optional<std::string> {
    if (impl->informers.synced()) return std::nullopt;
    return "the caches have not synced";
  });
  impl->certificates.add_checks(ready);
}

void Manager::start() {
  impl_->informers.each([](auto& informer) { informer.start(); });
  impl_->starter = std::thread([impl = impl_.get()] { impl->follow_up(); });
}

Manager::End Manager::wait() {
  std::unique_lock lock(impl_->end_mutex);
  impl_->end_wake.wait(lock, [this] { return impl_->ended.has_value(); });
  return *impl_->ended;
}

void Manager::request_stop() { impl_->finish(End::Stopped); }
void Manager::stop_controllers() { impl_->stop_controllers(); }
void Manager::release_lease() { impl_->release_lease(); }
bool Manager::leads() const { return impl_->leads(); }
bool Manager::synced() const { return impl_->informers.synced(); }

}  // namespace gobuildenv::controllers
