#include "webhooks/pod/verify.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "webhooks/pod/paths.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

std::string_view text(simdjson::simdjson_result<element> value) {
  std::string_view view;
  return value.get_string().get(view) == simdjson::SUCCESS ? view : std::string_view{};
}

/// A list of the pod as it is after the operations so far: the document's elements, replaced ones
/// exchanged, added ones at the end.
struct TouchedList {
  std::string_view path;
  bool exists = false;
  std::vector<element> items;
  std::size_t original = 0;
  std::vector<bool> changed;  ///< per item: put there by the patch
};

struct Operation {
  bool replace = false;
  std::string_view path;
  element value;
};

/// Splits "/a/b/c" into "/a/b" and "c".
std::pair<std::string_view, std::string_view> split(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return {path.substr(0, slash), path.substr(slash + 1)};
}

bool is_container_path(std::string_view path) {
  for (const std::string_view list : {"/spec/containers/", "/spec/initContainers/"}) {
    if (path.substr(0, list.size()) != list) continue;
    path.remove_prefix(list.size());
    return !path.empty() &&
           std::all_of(path.begin(), path.end(), [](char c) { return c >= '0' && c <= '9'; });
  }
  return false;
}

class Verifier {
 public:
  explicit Verifier(element pod) : pod_(pod) {}

  std::string apply(const Operation& op) {
    const auto [parent, token] = split(op.path);
    if (is_container_path(parent)) {
      if (token == "image" || token == "imagePullPolicy") return apply_member(op, parent, token);
      if (token == "env" || token == "volumeMounts") return apply_list(op);
      return "touches another field of a container";
    }
    if (op.path == "/spec/volumes") return apply_list(op);
    const auto [grandparent, list] = split(parent);
    if (parent == "/spec/volumes" ||
        (is_container_path(grandparent) && (list == "env" || list == "volumeMounts"))) {
      return apply_item(op, parent, token);
    }
    if (op.path == "/metadata") {
      return exists("/metadata") ? "would replace all metadata" : std::string{};
    }
    if (op.path == "/metadata/labels" || op.path == "/metadata/annotations") {
      if (!is_object("/metadata")) return "has no parent";
      return is_object(op.path) ? "would replace a whole map" : std::string{};
    }
    if (parent == "/metadata/labels" || parent == "/metadata/annotations") {
      if (!is_object(parent)) return "has no parent";
      return op.value.is_string() ? std::string{} : "is not a string";
    }
    return "touches what injection may not change";
  }

  std::string check_lists() {
    std::string error;
    const TouchedList* volumes = nullptr;
    for (const TouchedList& list : lists_) {
      if (list.path == "/spec/volumes") volumes = &list;
    }
    if (volumes != nullptr) error = check_unique(*volumes, "name", false);
    for (const TouchedList& list : lists_) {
      if (!error.empty()) break;
      if (&list == volumes) continue;
      if (split(list.path).second == "env") {
        error = check_unique(list, "name", false);
      } else {
        error = check_unique(list, "mountPath", true);
        if (error.empty()) error = check_volumes_of(list, volumes);
      }
    }
    return error;
  }

 private:
  bool exists(std::string_view path) const {
    element value;
    return pod_.at_pointer(path).get(value) == simdjson::SUCCESS && !value.is_null();
  }
  bool is_object(std::string_view path) const {
    element value;
    return pod_.at_pointer(path).get(value) == simdjson::SUCCESS && value.is_object();
  }

  std::string apply_member(const Operation& op, std::string_view parent, std::string_view token) {
    if (!is_object(parent)) return "has no parent";
    element value;
    const bool present = pod_.at_pointer(op.path).get(value) == simdjson::SUCCESS;
    if (op.replace && !present) return std::string("replaces an absent ") + std::string(token);
    return op.value.is_string() ? std::string{} : "is not a string";
  }

  TouchedList& list_at(std::string_view path) {
    for (TouchedList& list : lists_) {
      if (list.path == path) return list;
    }
    TouchedList& list = lists_.emplace_back();
    list.path = path;
    array items;
    if (pod_.at_pointer(path).get_array().get(items) == simdjson::SUCCESS) {
      list.exists = true;
      for (element item : items) list.items.push_back(item);
      list.original = list.items.size();
      list.changed.assign(list.items.size(), false);
    }
    return list;
  }

  std::string apply_list(const Operation& op) {
    if (!is_object(split(op.path).first)) return "has no parent";
    TouchedList& list = list_at(op.path);
    array items;
    if (list.exists) return "would replace a whole list";
    if (op.value.get_array().get(items) != simdjson::SUCCESS) return "is not a list";
    list.exists = true;
    for (element item : items) {
      list.items.push_back(item);
      list.changed.push_back(true);
    }
    return {};
  }

  std::string apply_item(const Operation& op, std::string_view parent, std::string_view token) {
    TouchedList& list = list_at(parent);
    if (!list.exists) return "has no list to go to";
    if (!op.value.is_object()) return "is not an object";
    if (token == "-") {
      if (op.replace) return "replaces the end of a list";
      list.items.push_back(op.value);
      list.changed.push_back(true);
      return {};
    }
    std::size_t index = 0;
    const auto [end, code] = std::from_chars(token.data(), token.data() + token.size(), index);
    if (code != std::errc{} || end != token.data() + token.size() || !op.replace ||
        index >= list.items.size()) {
      return "has no such item";
    }
    list.items[index] = op.value;
    list.changed[index] = true;
    return {};
  }

  /// No item put there by the patch may share `key` with another item. Replacing both of two
  /// entries that were equal before is the pod's own doing and stays.
  static std::string check_unique(const TouchedList& list, std::string_view key, bool path) {
    std::vector<std::pair<std::string, std::size_t>> seen;
    seen.reserve(list.items.size());
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      const std::string_view value = text(list.items[i][key]);
      if (value.empty() && list.changed[i]) return "an item without " + std::string(key);
      if (value.empty()) continue;
      seen.emplace_back(path ? clean_path(value) : std::string(value), i);
    }
    std::sort(seen.begin(), seen.end());
    for (std::size_t i = 1; i < seen.size(); ++i) {
      if (seen[i].first != seen[i - 1].first) continue;
      const bool appended = seen[i].second >= list.original || seen[i - 1].second >= list.original;
      if (appended) return "duplicate " + std::string(key) + " " + seen[i].first;
    }
    return {};
  }

  std::string check_volumes_of(const TouchedList& mounts, const TouchedList* volumes) const {
    for (std::size_t i = 0; i < mounts.items.size(); ++i) {
      if (!mounts.changed[i]) continue;
      const std::string_view name = text(mounts.items[i]["name"]);
      bool found = false;
      if (volumes != nullptr) {
        for (const element volume : volumes->items) found = found || text(volume["name"]) == name;
      } else {
        array items;
        if (pod_.at_pointer("/spec/volumes").get_array().get(items) == simdjson::SUCCESS) {
          for (element volume : items) found = found || text(volume["name"]) == name;
        }
      }
      if (!found) return "a mount of volume " + std::string(name) + ", which there is not";
    }
    return {};
  }

  element pod_;
  std::vector<TouchedList> lists_;
};

}  // namespace

std::string verify_patch(element pod, std::string_view patch, std::string_view prefix) {
  simdjson::dom::parser parser;
  array operations;
  if (parser.parse(patch.data(), patch.size()).get_array().get(operations) != simdjson::SUCCESS) {
    return "the patch is not a JSON list";
  }
  Verifier verifier(pod);
  for (element item : operations) {
    object members;
    if (item.get_object().get(members) != simdjson::SUCCESS) return "an operation is no object";
    Operation op;
    const std::string_view name = text(members.at_key("op"));
    const std::string_view path = text(members.at_key("path"));
    if (name != "add" && name != "replace") return "operation " + std::string(name);
    if (members.at_key("value").get(op.value) != simdjson::SUCCESS) return "no value";
    if (path.substr(0, prefix.size()) != prefix) return "a path outside the pod";
    op.replace = name == "replace";
    op.path = path.substr(prefix.size());
    if (op.path.empty() || op.path.front() != '/') return "a path outside the pod";
    std::string error = verifier.apply(op);
    if (!error.empty()) return std::string(op.path) + " " + error;
  }
  return verifier.check_lists();
}

}  // namespace gobuildenv::webhooks
