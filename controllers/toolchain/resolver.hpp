#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controllers/gobuildenv/decide.hpp"
#include "goenv/spec.hpp"
#include "kube/cancel_signal.hpp"
#include "kube/client.hpp"
#include "kube/clock.hpp"
#include "kube/http.hpp"

/// "Which release is 1.22?", asked of the operator's module proxies and remembered, so that 10,000
/// environments with the same range ask once.
namespace gobuildenv::controllers {

/// Makes the transport to a module proxy; called once per proxy, at the first question.
using WebTransportFactory = std::function<std::unique_ptr<kube::Transport>(const std::string& url)>;

struct ResolverOptions {
  std::vector<goenv::Proxy> proxies;    ///< of the operator's configuration; "direct" is skipped
  std::chrono::seconds keep{600};       ///< how long an answer serves
  std::chrono::seconds keep_fresh{30};  ///< the same where a fresh one is asked for
  std::chrono::seconds timeout{10};     ///< for each request
  std::chrono::seconds retry_base{5};  ///< after the n-th failure in a row: base · 2ⁿ, at most max
  std::chrono::seconds retry_max{300};
  std::string flag = "--module-proxy";  ///< named where no proxy is configured
  /// Called on the asking thread with each answer, for metrics; may be empty.
  std::function<void(const ToolchainAnswer&)> answered;
};

/// Asks the proxies for one range, in order, by the fallback rules of GOPROXY: the list, and then
/// for each candidate, newest first, whether the proxy really has it. Blocks until then, or until
/// `cancel` (may be null) is raised: what it gives then says nothing.
ToolchainAnswer ask_proxies(const std::string& range,
                            const std::vector<std::pair<goenv::Proxy, kube::Transport*>>& proxies,
                            const ResolverOptions& options, kube::Clock& clock,
                            const kube::CancelSignal* cancel = nullptr);

/// Thread-safe. One thread asks, started at the first question; stop() or the destructor joins it.
class ToolchainResolver {
 public:
  /// `ready` is called, on the asking thread, with each key whose answer has come.
  ToolchainResolver(ResolverOptions options, WebTransportFactory transports, kube::Clock& clock,
                    std::function<void(const kube::ObjectKey&)> ready);
  ~ToolchainResolver();
  ToolchainResolver(const ToolchainResolver&) = delete;
  ToolchainResolver& operator=(const ToolchainResolver&) = delete;

  /// The answer for a range ("1.22"), without waiting: Pending while it is being asked, and then
  /// `key` is handed to `ready` later. `fresh`: an answer older than keep_fresh will not do.
  ToolchainAnswer resolve(const std::string& range, bool fresh, const kube::ObjectKey& key);

  /// No question is asked any more; the one in progress ends at once, unanswered.
  void stop();

 private:
  struct Entry {
    std::optional<ToolchainAnswer> answer;
    kube::Clock::TimePoint at{};
    kube::Clock::TimePoint retry_at{};  ///< of a failure
    int failures = 0;
    bool asking = false;
    std::set<kube::ObjectKey> waiting;
  };

  void run();
  ToolchainAnswer ask(const std::string& range);

  const ResolverOptions options_;
  const WebTransportFactory make_transport_;
  kube::Clock& clock_;
  const std::function<void(const kube::ObjectKey&)> ready_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Entry> entries_;
  std::deque<std::string> questions_;
  bool stopping_ = false;
  kube::CancelSignal cancel_;
  std::thread thread_;
  std::map<std::string, std::unique_ptr<kube::Transport>> transports_;  ///< the thread's own
};

}  // namespace gobuildenv::controllers
