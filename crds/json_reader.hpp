#pragma once

#include <fmt/format.h>

#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "goenv/enum_names.hpp"
#include "goenv/validate.hpp"

namespace gobuildenv::crds {

/// Which members of which objects a reader has looked for; the others are no fields.
struct FieldUse {
  struct Object {
    const nlohmann::json* node = nullptr;
    std::set<std::string, std::less<>> fields;
  };
  std::map<std::string, Object> objects;  ///< by path
};

/// A cursor on one JSON value that knows its path and collects errors instead of stopping at the
/// first. Absent and null fields leave their target as it is; unknown fields are never looked at.
class JsonReader {
 public:
  /// `use`, where given, learns of every object and field that is looked at.
  JsonReader(const nlohmann::json& node, std::string path, std::vector<goenv::FieldError>& errors,
             FieldUse* use = nullptr)
      : node_(&node), path_(std::move(path)), errors_(&errors), use_(use) {
    if (use_ != nullptr) use_->objects[path_].node = node_;
  }

  [[nodiscard]] const std::string& path() const { return path_; }

  /// Reports `value` (shortened) at `path`.
  void fail(const std::string& path, const nlohmann::json& value, std::string message) {
    // Structures are named, not shown: what stands inside may be a credential in the wrong place.
    std::string shown =
        value.is_structured() ? value.type_name() : value.dump(-1, ' ', true, kSafe);
    if (shown.size() > 64) shown = shown.substr(0, 61) + "...";
    errors_->push_back({path, std::move(shown), std::move(message)});
  }

  void text(const char* key, std::string& out) {
    if (const auto* v = member(key)) text_value(*v, child(key), out);
  }

  void text_value(const nlohmann::json& v, const std::string& path, std::string& out) {
    if (v.is_string()) {
      out = v.get_ref<const std::string&>();
    } else if (v.is_structured()) {
      fail(path, v, "must be a string");
    } else {
      fail(path, v, "must be a string: put it in quotes");
    }
  }

  void flag(const char* key, bool& out) {
    const auto* v = member(key);
    if (v == nullptr) return;
    if (v->is_boolean()) {
      out = v->get<bool>();
    } else {
      fail(child(key), *v, "must be true or false, without quotes");
    }
  }

  template <class Int>
  void integer(const char* key, Int& out) {
    const auto* v = member(key);
    if (v == nullptr) return;
    if (v->is_number_integer() || v->is_number_unsigned()) {
      const bool huge = v->is_number_unsigned() &&
                        v->get<std::uint64_t>() >
                            static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
      const auto wide = huge ? 0 : v->get<std::int64_t>();
      if (!huge && wide >= std::numeric_limits<Int>::min() &&
          wide <= std::numeric_limits<Int>::max()) {
        out = static_cast<Int>(wide);
        return;
      }
    }
    fail(child(key), *v, "must be a whole number");
  }

  template <class E>
  void enumeration(const char* key, E& out) {
    const auto* v = member(key);
    if (v == nullptr) return;
    if (v->is_string()) {
      if (const auto e = goenv::enum_value<E>(v->get_ref<const std::string&>())) {
        out = *e;
        return;
      }
    }
    std::string known;
    for (const auto& [value, name] : goenv::EnumNames<E>::kNames) {
      known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
    }
    fail(child(key), *v, fmt::format("must be one of {}", known));
  }

  void texts(const char* key, std::vector<std::string>& out) {
    each(key, [&](const nlohmann::json& item, const std::string& path) {
      text_value(item, path, out.emplace_back());
    });
  }

  void text_map(const char* key, std::map<std::string, std::string>& out) {
    const auto* v = member(key);
    if (v == nullptr) return;
    if (!v->is_object()) return fail(child(key), *v, "must be a map of names to strings");
    for (const auto& [name, value] : v->items()) {
      text_value(value, child(key) + "." + name, out[name]);
    }
  }

  /// A reader of the object `key`, empty when it is absent or not an object (then reported).
  std::optional<JsonReader> object(const char* key) {
    const auto* v = member(key);
    if (v == nullptr) return std::nullopt;
    return object_at(*v, child(key));
  }

  /// Calls `visit(reader)` for every object of the list `key`.
  template <class Visit>
  void objects(const char* key, Visit visit) {
    each(key, [&](const nlohmann::json& item, const std::string& path) {
      if (auto reader = object_at(item, path)) visit(*reader);
    });
  }

  /// Calls `visit(value, path)` for every item of the list `key`.
  template <class Visit>
  void each(const char* key, Visit visit) {
    const auto* v = member(key);
    if (v == nullptr) return;
    if (!v->is_array()) return fail(child(key), *v, "must be a list");
    for (std::size_t i = 0; i < v->size(); ++i) {
      visit((*v)[i], fmt::format("{}[{}]", child(key), i));
    }
  }

  /// The value of `key`, null when absent or JSON null.
  [[nodiscard]] const nlohmann::json* member(const char* key) const {
    if (use_ != nullptr) use_->objects[path_].fields.insert(key);
    const auto it = node_->find(key);
    return it == node_->end() || it->is_null() ? nullptr : &*it;
  }

  [[nodiscard]] std::string child(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }

 private:
  static constexpr auto kSafe = nlohmann::json::error_handler_t::replace;

  std::optional<JsonReader> object_at(const nlohmann::json& v, std::string path) {
    if (!v.is_object()) {
      fail(path, v, "must be an object");
      return std::nullopt;
    }
    return JsonReader(v, std::move(path), *errors_, use_);
  }

  const nlohmann::json* node_;
  std::string path_;
  std::vector<goenv::FieldError>* errors_;
  FieldUse* use_;
};

}  // namespace gobuildenv::crds
