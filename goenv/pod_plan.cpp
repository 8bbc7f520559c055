#include "goenv/pod_plan.hpp"

#include <fmt/format.h>
#include <simdjson.h>

#include <iterator>
#include <optional>

#include "goenv/enum_names.hpp"

namespace gobuildenv::goenv {
namespace {

constexpr int kFormat = 1;

void append_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

/// Writes one JSON object, member by member, in the order of the calls.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  void close() { out_ += '}'; }

  std::string& key(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    append_string(out_, name);
    out_ += ':';
    return out_;
  }
  void text(std::string_view name, std::string_view value) {
    if (!value.empty()) append_string(key(name), value);
  }
  void list(std::string_view name, const std::vector<std::string>& values) {
    if (values.empty()) return;
    key(name) += '[';
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out_ += ',';
      append_string(out_, values[i]);
    }
    out_ += ']';
  }

 private:
  std::string& out_;
  bool first_ = true;
};

using Element = simdjson::dom::element;
using Object = simdjson::dom::object;

/// Reads members of one object; the first thing wrong is kept and everything after it is skipped.
class ObjectReader {
 public:
  ObjectReader(Object object, std::string& error) : object_(object), error_(error) {}

  void text(std::string_view name, std::string& into) {
    if (auto value = member(name)) set_text(name, *value, into);
  }
  template <class E>
  void enumeration(std::string_view name, E& into) {
    std::string spelt;
    text(name, spelt);
    if (spelt.empty()) return;
    if (const auto value = enum_value<E>(spelt)) {
      into = *value;
    } else {
      fail(name, fmt::format("has the unknown value \"{}\"", spelt));
    }
  }
  void list(std::string_view name, std::vector<std::string>& into) {
    const auto value = member(name);
    if (!value) return;
    simdjson::dom::array array;
    if (value->get(array) != simdjson::SUCCESS) return fail(name, "must be an array");
    into.reserve(array.size());
    for (const Element item : array) set_text(name, item, into.emplace_back());
  }
  /// Calls `entry(key, value)` for each member of the object `name`, whose values are strings.
  template <class F>
  void pairs(std::string_view name, F entry) {
    const auto value = member(name);
    if (!value) return;
    Object object;
    if (value->get(object) != simdjson::SUCCESS) return fail(name, "must be an object of strings");
    for (const auto field : object) {
      std::string read;
      set_text(name, field.value, read);
      entry(std::string(field.key), std::move(read));
    }
  }
  std::optional<Element> member(std::string_view name) {
    Element value;
    if (!error_.empty() || object_.at_key(name).get(value) != simdjson::SUCCESS) return {};
    return value;
  }
  void fail(std::string_view name, std::string_view what) {
    if (error_.empty()) error_ = fmt::format("pod.json: \"{}\" {}", name, what);
  }

 private:
  void set_text(std::string_view name, Element value, std::string& into) {
    std::string_view read;
    if (value.get(read) != simdjson::SUCCESS) return fail(name, "must hold a string here");
    into = read;
  }

  Object object_;
  std::string& error_;
};

void read_caches(ObjectReader& plan, std::string& error, std::vector<CacheMount>& into) {
  const auto value = plan.member("caches");
  if (!value) return;
  simdjson::dom::array array;
  if (value->get(array) != simdjson::SUCCESS) return plan.fail("caches", "must be an array");
  for (const Element item : array) {
    Object object;
    if (item.get(object) != simdjson::SUCCESS) {
      return plan.fail("caches", "must hold objects");
    }
    ObjectReader reader(object, error);
    CacheMount& cache = into.emplace_back();
    reader.text("volume", cache.volume);
    reader.text("path", cache.mount_path);
    reader.text("kind", cache.kind);
    reader.enumeration("scope", cache.scope);
    if (cache.volume.empty() || cache.mount_path.empty()) {
      return plan.fail("caches", "holds an entry without volume or path");
    }
  }
}

/// Names and values apart: readers that know only the names still find them.
void write_launcher_env(const std::vector<LauncherVar>& vars, ObjectWriter& json) {
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (const LauncherVar& var : vars) {
    names.push_back(var.name);
    if (var.value) values.push_back(*var.value);
  }
  json.list("launcherEnv", names);
  if (values.size() == names.size()) json.list("launcherValues", values);
}

void read_launcher_env(ObjectReader& plan, std::vector<LauncherVar>& into) {
  std::vector<std::string> names;
  std::vector<std::string> values;
  plan.list("launcherEnv", names);
  plan.list("launcherValues", values);
  if (!values.empty() && values.size() != names.size()) {
    return plan.fail("launcherValues", "must have one value for each name of launcherEnv");
  }
  into.reserve(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    LauncherVar& var = into.emplace_back(LauncherVar{std::move(names[i]), std::nullopt});
    if (!values.empty()) var.value = std::move(values[i]);
  }
}

}  // namespace

std::string encode(const PodPlan& plan) {
  std::string out;
  out.reserve(2048);
  ObjectWriter json(out);
  fmt::format_to(std::back_inserter(json.key("format")), "{}", plan.format);
  json.text("renderer", plan.renderer);
  json.text("toolchain", plan.toolchain);
  json.text("delivery", enum_name(plan.delivery));
  json.text("cgo", enum_name(plan.cgo));
  json.text("enforcement", enum_name(plan.enforcement));
  json.text("preflight", enum_name(plan.preflight));
  if (!plan.env.empty()) {
    ObjectWriter env(json.key("env"));
    for (const EnvVar& var : plan.env) append_string(env.key(var.name), var.value);
    env.close();
  }
  write_launcher_env(plan.launcher_env, json);
  json.text("filesPath", plan.files_path);
  if (!plan.files.empty()) {
    ObjectWriter files(json.key("files"));
    for (const FileMount& file : plan.files) append_string(files.key(file.path), file.key);
    files.close();
  }
  if (!plan.caches.empty()) {
    json.key("caches") += '[';
    for (std::size_t i = 0; i < plan.caches.size(); ++i) {
      if (i > 0) out += ',';
      ObjectWriter cache(out);
      cache.text("volume", plan.caches[i].volume);
      cache.text("path", plan.caches[i].mount_path);
      cache.text("kind", plan.caches[i].kind);
      cache.text("scope", enum_name(plan.caches[i].scope));
      cache.close();
    }
    out += ']';
  }
  json.text("toolchainPath", plan.toolchain_path);
  json.text("credentialsSecret", plan.credentials_secret);
  json.text("credentialsPath", plan.credentials_path);
  json.text("caConfigMap", plan.ca_config_map);
  json.text("caKey", plan.ca_key);
  json.text("caPath", plan.ca_path);
  json.text("condaBaseImage", plan.conda_base_image);
  json.list("include", plan.include);
  json.list("exclude", plan.exclude);
  json.close();
  return out;
}

tl::expected<PodPlan, std::string> decode_pod_plan(std::string_view json) {
  thread_local simdjson::dom::parser parser;
  Object root;
  if (const auto code = parser.parse(json.data(), json.size()).get(root); code) {
    return tl::unexpected(fmt::format("pod.json: {}", simdjson::error_message(code)));
  }
  PodPlan plan;
  std::string error;
  ObjectReader reader(root, error);
  std::int64_t format = 0;
  if (const auto value = reader.member("format");
      !value || value->get(format) != simdjson::SUCCESS || format < 1) {
    return tl::unexpected(std::string("pod.json: \"format\" must be a positive number"));
  }
  if (format > kFormat) {
    return tl::unexpected(
        fmt::format("pod.json: \"format\" is {}, this build knows up to {}: a newer operator "
                    "rendered this revision, update this one",
                    format, kFormat));
  }
  plan.format = static_cast<int>(format);
  reader.text("renderer", plan.renderer);
  reader.text("toolchain", plan.toolchain);
  reader.enumeration("delivery", plan.delivery);
  reader.enumeration("cgo", plan.cgo);
  reader.enumeration("enforcement", plan.enforcement);
  reader.enumeration("preflight", plan.preflight);
  reader.pairs("env", [&plan](std::string name, std::string value) {
    plan.env.push_back({.name = std::move(name), .value = std::move(value)});
  });
  read_launcher_env(reader, plan.launcher_env);
  reader.text("filesPath", plan.files_path);
  reader.pairs("files", [&plan](std::string path, std::string key) {
    plan.files.push_back({.key = std::move(key), .path = std::move(path)});
  });
  read_caches(reader, error, plan.caches);
  reader.text("toolchainPath", plan.toolchain_path);
  reader.text("credentialsSecret", plan.credentials_secret);
  reader.text("credentialsPath", plan.credentials_path);
  reader.text("caConfigMap", plan.ca_config_map);
  reader.text("caKey", plan.ca_key);
  reader.text("caPath", plan.ca_path);
  reader.text("condaBaseImage", plan.conda_base_image);
  reader.list("include", plan.include);
  reader.list("exclude", plan.exclude);
  if (!error.empty()) return tl::unexpected(std::move(error));
  return plan;
}

}  // namespace gobuildenv::goenv
