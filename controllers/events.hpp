#pragma once

#include "controllers/gobuildenv/decide.hpp"
#include "kube/events.hpp"

namespace gobuildenv::controllers {

/// Leaves `note` as an Event about the object of that type, key and uid. Does not block.
inline void record(kube::EventRecorder& recorder, const kube::ResourceType& type,
                   const kube::ObjectKey& key, const std::string& uid, const EventNote& note) {
  recorder.record({.type = type,
                   .key = key,
                   .uid = uid,
                   .warning = note.warning,
                   .reason = note.reason,
                   .action = {},
                   .note = note.message});
}

}  // namespace gobuildenv::controllers
