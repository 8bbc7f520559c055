#include "controllers/toolchain/resolver.hpp"

#include <algorithm>
#include <utility>

namespace gobuildenv::controllers {

using State = ToolchainAnswer::State;

ToolchainResolver::ToolchainResolver(ResolverOptions options, WebTransportFactory transports,
                                     kube::Clock& clock,
                                     std::function<void(const kube::ObjectKey&)> ready)
    : options_(std::move(options)),
      make_transport_(std::move(transports)),
      clock_(clock),
      ready_(std::move(ready)) {}

ToolchainResolver::~ToolchainResolver() { stop(); }

void ToolchainResolver::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  cancel_.raise();
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

ToolchainAnswer ToolchainResolver::resolve(const std::string& range, bool fresh,
                                           const kube::ObjectKey& key) {
  const kube::Clock::TimePoint now = clock_.now();
  const std::scoped_lock lock(mutex_);
  Entry& entry = entries_[range];
  if (entry.answer && !entry.asking) {
    const bool resolved = entry.answer->state == State::Resolved;
    if (resolved && now < entry.at + (fresh ? options_.keep_fresh : options_.keep)) {
      return *entry.answer;
    }
    if (!resolved && now < entry.retry_at) {
      ToolchainAnswer failed = *entry.answer;
      failed.retry_after = std::chrono::ceil<std::chrono::seconds>(entry.retry_at - now).count();
      return failed;
    }
  }
  if (!stopping_) {
    entry.waiting.insert(key);
    if (!entry.asking) {
      entry.asking = true;
      questions_.push_back(range);
      if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
      wake_.notify_one();
    }
  }
  return {};
}

void ToolchainResolver::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || !questions_.empty(); });
    if (stopping_) return;
    const std::string range = std::move(questions_.front());
    questions_.pop_front();
    lock.unlock();
    ToolchainAnswer answer = ask(range);
    if (cancel_.raised()) return;
    if (options_.answered) options_.answered(answer);
    lock.lock();
    Entry& entry = entries_[range];
    entry.at = clock_.now();
    if (answer.state == State::Resolved) {
      entry.failures = 0;
    } else {
      const int doublings = std::min(entry.failures++, 20);
      entry.retry_at =
          entry.at + std::min(options_.retry_max, options_.retry_base * (1 << doublings));
    }
    entry.answer = std::move(answer);
    entry.asking = false;
    const std::set<kube::ObjectKey> waiting = std::exchange(entry.waiting, {});
    lock.unlock();
    for (const kube::ObjectKey& key : waiting) ready_(key);
    lock.lock();
  }
}

ToolchainAnswer ToolchainResolver::ask(const std::string& range) {
  std::vector<std::pair<goenv::Proxy, kube::Transport*>> proxies;
  for (const goenv::Proxy& proxy : options_.proxies) {
    if (!proxy.url.starts_with("http")) {
      proxies.emplace_back(proxy, nullptr);
      continue;
    }
    std::unique_ptr<kube::Transport>& transport = transports_[proxy.url];
    if (!transport) transport = make_transport_(proxy.url);
    proxies.emplace_back(proxy, transport.get());
  }
  return ask_proxies(range, proxies, options_, clock_, &cancel_);
}

}  // namespace gobuildenv::controllers
