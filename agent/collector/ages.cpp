#include "agent/collector/ages.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace gobuildenv::agent::collector {

using Json = nlohmann::json;

const Age& AgeBook::observe(const std::string& unit, const Observation& seen) {
  const seconds now = time.now();
  const auto [it, fresh] = ages_.try_emplace(unit);
  Age& age = it->second;
  bool new_use = fresh || (seen.in_use && !age.held);
  seconds when = now;
  if (!fresh && !seen.in_use && seen.stamp != 0 && seen.stamp != age.stamp) {
    // Not "newer": after the clock was set back a new use has an older stamp.
    new_use = true;
    when = std::max(age.used_at, time.of_stamp(seen.stamp).value_or(now));
  }
  if (seen.stamp != 0) age.stamp = seen.stamp;
  age.held = seen.in_use;
  if (new_use || seen.in_use) {
    age.used_at = std::max(age.used_at, when);
    age.uses += new_use ? 1 : 0;
    age.credit = inflation + age.uses * seen.value;
  }
  age.used_at = std::min(age.used_at, now);
  return age;
}

void AgeBook::used(const std::string& unit, double value) {
  Age& age = ages_[unit];
  age.used_at = time.now();
  age.uses += 1;
  age.credit = inflation + age.uses * value;
}

seconds AgeBook::idle(const std::string& unit) const {
  const auto it = ages_.find(unit);
  return it == ages_.end() ? seconds(0) : std::max(seconds(0), time.now() - it->second.used_at);
}

std::optional<seconds> AgeBook::idle_of_stamp(std::int64_t wall_ns) const {
  const auto at = time.of_stamp(wall_ns);
  if (!at) return std::nullopt;
  return std::max(seconds(0), time.now() - *at);
}

std::string AgeBook::to_json() const {
  Json segments = Json::array();
  for (const Segment& s : time.segments()) {
    segments.push_back(
        {s.node_start.count(), s.node_end.count(), s.wall_start.count(), s.wall_end.count()});
  }
  Json units = Json::object();
  for (const auto& [unit, age] : ages_) {
    units[unit] = {{"usedAt", age.used_at.count()},
                   {"uses", age.uses},
                   {"stamp", age.stamp},
                   {"credit", age.credit}};
  }
  const Json out = {{"version", 1},
                    {"bootID", time.boot_id()},
                    {"sinceBoot", time.since_boot().count()},
                    {"inflation", inflation},
                    {"segments", segments},
                    {"units", units}};
  // Paths below a cache may hold any bytes.
  return out.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

tl::expected<AgeBook, std::string> AgeBook::from_json(std::string_view text) {
  try {
    const Json in = Json::parse(text);
    std::vector<Segment> segments;
    for (const Json& s : in.at("segments")) {
      segments.push_back(
          {seconds(s.at(0).get<std::int64_t>()), seconds(s.at(1).get<std::int64_t>()),
           seconds(s.at(2).get<std::int64_t>()), seconds(s.at(3).get<std::int64_t>())});
    }
    AgeBook out;
    out.time = NodeTime(std::move(segments), seconds(in.at("sinceBoot").get<std::int64_t>()),
                        in.at("bootID").get<std::string>());
    out.inflation = in.value("inflation", 0.0);
    for (const auto& [unit, json] : in.at("units").items()) {
      Age age;
      age.used_at = seconds(json.at("usedAt").get<std::int64_t>());
      age.uses = json.value("uses", 0U);
      age.stamp = json.value("stamp", std::int64_t{0});
      age.credit = json.value("credit", 0.0);
      age.used_at = std::min(age.used_at, out.time.now());
      out.ages_.emplace(unit, age);
    }
    return out;
  } catch (const Json::exception& error) {
    return tl::unexpected(std::string("not an ages.json: ") + error.what());
  }
}

}  // namespace gobuildenv::agent::collector
