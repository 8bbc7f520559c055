#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "controllers/gobuildenv/decide.hpp"
#include "kube/clock.hpp"
#include "kube/error.hpp"
#include "kube/work_queue.hpp"

namespace gobuildenv::controllers {

/// Whether the API server understood the request and does not want it. Not so where nobody is
/// known to it (401), nor in a terminating namespace: nothing is to be done about that.
bool is_refusal(const kube::Error& error);

/// Which ConfigMaps were refused, and when each is worth another try: after 10 s, doubling to 5
/// minutes. Until then, whatever else brings the environment back (its pods come and go by the
/// hundred) asks the API server nothing. A new generation is tried at once. What fails three times
/// in a row and for half a minute is treated alike: until then it is the queue that tries again,
/// and a flicker is told to nobody. Thread-safe for different environments.
class Refusals {
 public:
  explicit Refusals(kube::Clock& clock) : clock_(clock) {}

  /// Those of this generation that are not worth a try yet, by the ConfigMap's name.
  [[nodiscard]] std::map<std::string, Refusal> of(const kube::ObjectKey& environment,
                                                  const EnvironmentFacts& facts) const;
  /// ConfigMap `name` was refused, or its write has failed. True: `facts` tell of it from now on;
  /// false: it is too early to.
  [[nodiscard]] bool note(const kube::ObjectKey& environment, EnvironmentFacts& facts,
                          const std::string& name, const kube::Error& error);
  /// It was let in.
  void let_in(const kube::ObjectKey& environment, const std::string& name);
  /// Nothing is left to be written: failures so far are not in a row with later ones.
  void settled(const kube::ObjectKey& environment);
  /// The environment is gone.
  void forget(const kube::ObjectKey& environment);

 private:
  struct Entry {
    Refusal told;                 ///< without retry_in; once wait is set
    std::chrono::seconds wait{};  ///< zero: there is nothing to tell yet
    kube::Clock::TimePoint due{};
    int failures = 0;  ///< in a row
    kube::Clock::TimePoint failing_since{};
  };
  [[nodiscard]] static Refusal fact_of(const Entry& entry, std::chrono::seconds left) {
    return {entry.told.message, left.count(), entry.told.failed};
  }
  struct Refused {
    std::string uid;
    std::int64_t generation = 0;
    std::map<std::string, Entry> entries;  ///< by name
  };

  kube::Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<kube::ObjectKey, Refused, kube::ObjectKeyHash> refused_;
};

}  // namespace gobuildenv::controllers
