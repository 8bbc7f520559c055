#pragma once

#include <string>

#include "controllers/gobuildenv/decide.hpp"
#include "kube/client.hpp"

namespace gobuildenv::controllers {

/// Where controllers leave Events. Does not block: an Event may be dropped.
class EventSink {
 public:
  virtual ~EventSink() = default;
  EventSink() = default;
  EventSink(const EventSink&) = delete;
  EventSink& operator=(const EventSink&) = delete;
  /// About the object of that type, key and uid.
  virtual void post(const kube::ResourceType& type, const kube::ObjectKey& key,
                    const std::string& uid, const EventNote& note) = 0;
};

}  // namespace gobuildenv::controllers
