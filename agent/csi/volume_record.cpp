#include "agent/csi/volume_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/toolchains/toolchain_id.hpp"
#include "goenv/version.hpp"

namespace gobuildenv::agent {
namespace {

using nlohmann::json;
using tl::unexpected;

constexpr std::string_view kToolchains = "toolchains/";
constexpr std::string_view kGoroot = "/goroot";

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

bool is_plain_relative(std::string_view path) {
  if (path.empty() || path.find('\0') != std::string_view::npos) return false;
  while (true) {
    const auto slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

/// "caches/<namespace uid>/<environment or _namespace>/<mod or build>"
bool is_cache(std::string_view path) {
  return path.starts_with("caches/") && is_plain_relative(path) &&
         std::count(path.begin(), path.end(), '/') == 3;
}

std::string unit_of(std::string_view source) {
  if (!source.starts_with(kToolchains) || !source.ends_with(kGoroot)) return {};
  return std::string(source.substr(0, source.size() - kGoroot.size()));
}

std::string VolumeRecord::unit() const { return lower.empty() ? unit_of(source) : lower; }

std::vector<std::string> VolumeRecord::units() const {
  std::vector<std::string> out;
  const auto add = [&out](std::string unit) {
    if (!unit.empty() && std::find(out.begin(), out.end(), unit) == out.end()) {
      out.push_back(std::move(unit));
    }
  };
  add(unit());
  for (const std::string& more : newer) add(unit_of(more));
  return out;
}

std::string newer_name(std::string_view source) {
  if (unit_of(source).empty() || !is_plain_relative(source)) return {};
  source.remove_prefix(kToolchains.size());
  const auto id = parse_toolchain_id(source.substr(0, source.find('/')));
  return id ? "go" + goenv::to_string(id->version) : std::string();
}

std::string cache_of_lower(std::string_view lower) {
  constexpr std::string_view kMiddle = "/lower/";
  const auto middle = lower.rfind(kMiddle);
  if (middle == std::string_view::npos || !is_plain_relative(lower)) return {};
  const std::string_view number = lower.substr(middle + kMiddle.size());
  const std::string_view cache = lower.substr(0, middle);
  const bool digits = !number.empty() && number.size() < 19 &&
                      number.find_first_not_of("0123456789") == std::string_view::npos;
  if (!digits || !is_cache(cache)) return {};
  return std::string(cache);
}

std::string encode(const VolumeRecord& record) {
  json out = {{"volume", record.volume_id},
              {"kind", to_string(record.kind)},
              {"pod",
               {{"namespace", record.pod.ns},
                {"name", record.pod.name},
                {"uid", record.pod.uid},
                {"serviceAccount", record.pod.service_account}}},
              {"environment", record.environment},
              {"revision", record.revision},
              {"toolchain", record.toolchain},
              {"target", record.target},
              {"source", record.source},
              {"publishedAt", record.published_at},
              {"bootID", record.boot_id}};
  if (!record.cache.empty()) out["cache"] = record.cache;
  if (!record.lower.empty()) out["lower"] = record.lower;
  if (!record.newer.empty()) out["newer"] = record.newer;
  if (!record.unavailable.empty()) out["unavailable"] = record.unavailable;
  return out.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

tl::expected<VolumeRecord, std::string> decode_volume_record(std::string_view text_in) {
  const json in = json::parse(text_in, nullptr, false);
  if (!in.is_object()) return unexpected<std::string>("is no JSON object");
  VolumeRecord record;
  record.volume_id = text(in, "volume");
  if (!is_volume_id(record.volume_id)) return unexpected(bad_volume_id(record.volume_id));
  const auto kind = parse_volume_kind(text(in, "kind"));
  if (!kind) return unexpected(fmt::format("kind: \"{}\" is unknown", text(in, "kind")));
  record.kind = *kind;
  if (const auto pod = in.find("pod"); pod != in.end() && pod->is_object()) {
    record.pod = {text(*pod, "namespace"), text(*pod, "name"), text(*pod, "uid"),
                  text(*pod, "serviceAccount")};
  }
  record.environment = text(in, "environment");
  record.revision = text(in, "revision");
  record.toolchain = text(in, "toolchain");
  record.target = text(in, "target");
  record.source = text(in, "source");
  record.unavailable = text(in, "unavailable");
  record.boot_id = text(in, "bootID");
  // The same shape as in a call, so that nothing else can ever be unmounted.
  if (!parse_target("/" + record.target, "")) {
    return unexpected(fmt::format("target: \"{}\" is no volume's place", record.target));
  }
  if (!is_plain_relative(record.source)) {
    return unexpected(fmt::format("source: \"{}\" is no path below the root", record.source));
  }
  record.cache = text(in, "cache");
  if (!record.cache.empty() && !is_cache(record.cache)) {
    return unexpected(fmt::format("cache: \"{}\" is no shared cache", record.cache));
  }
  record.lower = text(in, "lower");
  if (!record.lower.empty() && cache_of_lower(record.lower) != record.cache) {
    return unexpected(
        fmt::format("lower: \"{}\" is no layer of \"{}\"", record.lower, record.cache));
  }
  if (const auto newer = in.find("newer"); newer != in.end() && newer->is_array()) {
    for (const json& one : *newer) {
      const std::string more = one.is_string() ? one.get<std::string>() : std::string();
      if (newer_name(more).empty()) {
        return unexpected(fmt::format("newer: \"{}\" is no toolchain", more));
      }
      record.newer.push_back(more);
    }
  }
  if (const auto at = in.find("publishedAt"); at != in.end() && at->is_number_integer()) {
    record.published_at = at->get<std::int64_t>();
  }
  return record;
}

std::map<std::string, std::size_t> count_uses(std::span<const VolumeRecord> records) {
  std::map<std::string, std::size_t> out;
  for (const VolumeRecord& record : records) {
    for (std::string& unit : record.units()) ++out[std::move(unit)];
  }
  return out;
}

}  // namespace gobuildenv::agent
