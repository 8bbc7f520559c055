#include "kube/event_series.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "kube/rfc3339.hpp"

namespace gobuildenv::kube {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestNote = 1024;
constexpr std::size_t kLongestWord = 128;
constexpr std::size_t kLongestName = 253;

/// At most `size` bytes, not ending within a UTF-8 sequence.
std::string cut(const std::string& text, std::size_t size) {
  if (text.size() <= size) {
    return text;
  }
  while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) {
    --size;
  }
  return text.substr(0, size);
}

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

std::string EventSeries::body_of(const Event& event, const ObjectKey& object) const {
  return dump(json{
      {"apiVersion", "events.k8s.io/v1"},
      {"kind", "Event"},
      {"metadata", {{"name", object.name}, {"namespace", object.ns}}},
      {"eventTime", format_micro_time(clock_.wall_now())},
      {"reportingController", options_.controller},
      {"reportingInstance", cut(options_.instance, kLongestWord)},
      {"type", event.warning ? "Warning" : "Normal"},
      {"reason", cut(event.reason, kLongestWord)},
      {"action", cut(event.action.empty() ? event.reason : event.action, kLongestWord)},
      {"note", cut(event.note, kLongestNote)},
      {"regarding",
       {{"apiVersion", event.type.api_version()},
        {"kind", event.type.kind},
        {"namespace", event.key.ns},
        {"name", event.key.name},
        {"uid", event.uid}}},
  });
}

EventWrite EventSeries::patch(Entry& entry) {
  entry.written = entry.count;
  entry.sent = clock_.now();
  const json series{{"count", entry.count}, {"lastObservedTime", format_micro_time(entry.last)}};
  json again = json::parse(entry.body);
  again["series"] = series;
  return {entry.object, false, dump(json{{"series", series}}), dump(again)};
}

std::optional<EventWrite> EventSeries::add(const Event& event) {
  const Key key{event.type.kind, event.key, event.uid, event.warning, event.reason, event.action};
  const auto now = clock_.now();
  if (const auto found = series_.find(key);
      found != series_.end() && now - found->second.seen < options_.series_window) {
    Entry& entry = found->second;
    ++entry.count;
    entry.seen = now;
    entry.last = clock_.wall_now();
    if (entry.count == 2 || now - entry.sent >= options_.patch_interval) {
      return patch(entry);
    }
    return std::nullopt;
  }
  // Cluster-scoped objects have their Events in "default".
  constexpr double kNameSpace = 281474976710656.0;  // 48 bits
  const auto suffix = static_cast<std::uint64_t>(random_() * kNameSpace);
  const std::string tail = fmt::format(".{:012x}", suffix);
  Entry entry;
  entry.object = {event.key.ns.empty() ? "default" : event.key.ns,
                  event.key.name.substr(0, kLongestName - tail.size()) + tail};
  entry.body = body_of(event, entry.object);
  entry.seen = now;
  entry.sent = now;
  entry.last = clock_.wall_now();
  EventWrite write{entry.object, true, entry.body, ""};
  if (series_.size() >= options_.max_series) {
    forget_least_recent();
  }
  series_.insert_or_assign(key, std::move(entry));
  return write;
}

std::vector<EventWrite> EventSeries::due(bool all) {
  std::vector<EventWrite> out;
  const auto now = clock_.now();
  for (auto at = series_.begin(); at != series_.end();) {
    Entry& entry = at->second;
    const bool over = now - entry.seen >= options_.series_window;
    if (entry.count > entry.written &&
        (all || over || now - entry.sent >= options_.patch_interval)) {
      out.push_back(patch(entry));
    }
    at = over ? series_.erase(at) : std::next(at);
  }
  return out;
}

void EventSeries::forget_least_recent() {
  series_.erase(std::min_element(series_.begin(), series_.end(), [](const auto& a, const auto& b) {
    return a.second.seen < b.second.seen;
  }));
}

}  // namespace gobuildenv::kube
