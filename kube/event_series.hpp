#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "kube/client.hpp"
#include "kube/clock.hpp"

/// Which writes a stream of Events amounts to (events.k8s.io/v1, series as in
/// client-go/tools/events): pure bookkeeping, no thread, no client.
namespace gobuildenv::kube {

/// Something a person who looks at the object should hear of.
struct Event {
  ResourceType type;  ///< of the object it is about
  ObjectKey key;
  std::string uid;
  bool warning = false;
  std::string reason;  ///< CamelCase, at most 128 bytes; part of what makes two Events the same
  std::string action;  ///< what was done or tried, CamelCase; `reason` when empty
  std::string note;    ///< a sentence, cut at 1024 bytes
};

/// A request to make.
struct EventWrite {
  ObjectKey key;         ///< of the Event object
  bool create = true;    ///< POST of `body`; else a merge patch
  std::string body;      ///< JSON
  std::string recreate;  ///< for a patch: what to POST when the Event has expired meanwhile
};

struct EventSeriesOptions {
  std::string controller = "gobuildenv.dev/manager";  ///< reportingController
  std::string instance = "gobuildenv";                ///< reportingInstance, e.g. the pod's name
  std::chrono::seconds series_window{360};  ///< a repetition later than this is a new Event
  std::chrono::seconds patch_interval{60};  ///< between writes of one series' count
  std::size_t max_series = 4096;            ///< the least recent is forgotten beyond
};

class EventSeries {
 public:
  EventSeries(EventSeriesOptions options, Clock& clock, Random random)
      : options_(std::move(options)), clock_(clock), random_(std::move(random)) {}

  /// The first of its kind is created; the second makes it a series at once; later ones are counted
  /// and written at most once per patch_interval.
  std::optional<EventWrite> add(const Event& event);
  /// Counts not written yet whose interval is over, or all of them. Forgets what has ended.
  std::vector<EventWrite> due(bool all = false);
  [[nodiscard]] std::size_t size() const { return series_.size(); }

 private:
  /// Object, its uid, severity, reason, action; as in client-go the note does not count.
  using Key = std::tuple<std::string, ObjectKey, std::string, bool, std::string, std::string>;
  struct Entry {
    ObjectKey object;
    std::string body;  ///< as created
    int count = 1;
    int written = 1;
    Clock::TimePoint seen;
    Clock::TimePoint sent;
    std::chrono::system_clock::time_point last;
  };

  [[nodiscard]] std::string body_of(const Event& event, const ObjectKey& object) const;
  EventWrite patch(Entry& entry);
  void forget_least_recent();

  EventSeriesOptions options_;
  Clock& clock_;
  Random random_;
  std::map<Key, Entry> series_;
};

}  // namespace gobuildenv::kube
