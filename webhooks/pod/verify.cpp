#include "webhooks/pod/verify.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "webhooks/pod/paths.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

std::string_view text(element value) {
  std::string_view view;
  return value.get_string().get(view) == simdjson::SUCCESS ? view : std::string_view{};
}

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

/// Finds equal texts among many without comparing or copying most of them: sorted by a number made
/// of their ends and length, by the text only where that is equal. Crafted texts cost a comparison
/// more, not a search of all.
class Names {
 public:
  struct Entry {
    std::uint64_t mark;
    std::string_view text;
    std::size_t item;
  };

  void clear(std::size_t expected) {
    entries_.clear();
    entries_.reserve(expected);
  }
  void add(std::string_view text, std::size_t item) {
    entries_.push_back({mark_of(text), text, item});
  }
  /// Sorts by text; equal texts by item.
  const std::vector<Entry>& sorted() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      if (a.mark != b.mark) return a.mark < b.mark;
      const int order = a.text.compare(b.text);
      return order != 0 ? order < 0 : a.item < b.item;
    });
    return entries_;
  }

 private:
  static std::uint64_t mark_of(std::string_view text) {
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    const std::size_t length = std::min(text.size(), sizeof head);
    std::memcpy(&head, text.data(), length);
    std::memcpy(&tail, text.data() + text.size() - length, length);
    return head * 0x9E3779B97F4A7C15U ^ tail ^ (std::uint64_t{text.size()} << 56U);
  }

  std::vector<Entry> entries_;
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
    // Lists are only made for paths that may change: one item after the other goes to the same.
    if (!lists_.empty() && lists_.back().path == parent) return apply_item(op, parent, token);
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
    read_volume_names();
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
        if (error.empty()) error = check_volumes_of(list);
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

  /// The list at `path`. One operation after the other is for the same list, mostly.
  TouchedList& list_at(std::string_view path) {
    for (std::size_t i = lists_.size(); i-- > 0;) {
      if (lists_[i].path == path) return lists_[i];
    }
    TouchedList& list = lists_.emplace_back();
    list.path = path;
    list.items.reserve(kExpectedItems);
    list.changed.reserve(kExpectedItems);
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
  std::string check_unique(const TouchedList& list, std::string_view key, bool path) {
    std::vector<std::string> cleaned;
    names_.clear(list.items.size());
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      const std::string_view value = text(list.items[i][key]);
      if (value.empty() && list.changed[i]) return "an item without " + std::string(key);
      if (value.empty()) continue;
      if (path && !is_clean_path(value)) {
        cleaned.reserve(list.items.size());  // once: views into it must stay valid
        names_.add(cleaned.emplace_back(clean_path(value)), i);
      } else {
        names_.add(value, i);
      }
    }
    const auto& seen = names_.sorted();
    for (std::size_t i = 1; i < seen.size(); ++i) {
      if (seen[i].mark != seen[i - 1].mark || seen[i].text != seen[i - 1].text) continue;
      const bool appended = seen[i].item >= list.original || seen[i - 1].item >= list.original;
      if (appended) return "duplicate " + std::string(key) + " " + std::string(seen[i].text);
    }
    return {};
  }

  /// Names of the volumes there will be.
  void read_volume_names() {
    for (const TouchedList& list : lists_) {
      if (list.path != "/spec/volumes") continue;
      for (element volume : list.items) volumes_.push_back(text(volume["name"]));
      return;
    }
    array items;
    if (pod_.at_pointer("/spec/volumes").get_array().get(items) != simdjson::SUCCESS) return;
    for (element volume : items) volumes_.push_back(text(volume["name"]));
  }

  std::string check_volumes_of(const TouchedList& mounts) const {
    for (std::size_t i = 0; i < mounts.items.size(); ++i) {
      if (!mounts.changed[i]) continue;
      const std::string_view name = text(mounts.items[i]["name"]);
      if (std::find(volumes_.begin(), volumes_.end(), name) == volumes_.end()) {
        return "a mount of volume " + std::string(name) + ", which there is not";
      }
    }
    return {};
  }

  static constexpr std::size_t kExpectedItems = 64;

  element pod_;
  std::vector<TouchedList> lists_;
  std::vector<std::string_view> volumes_;
  Names names_;
};

/// Reads one operation, each member once. The reason when it is none.
std::string read_operation(element item, std::string_view prefix, Operation& op) {
  object members;
  if (item.get_object().get(members) != simdjson::SUCCESS) return "an operation is no object";
  std::string_view name;
  std::string_view path;
  bool has_value = false;
  for (const auto field : members) {
    if (field.key == "op") {
      name = text(field.value);
    } else if (field.key == "path") {
      path = text(field.value);
    } else if (field.key == "value") {
      op.value = field.value;
      has_value = true;
    }
  }
  if (name != "add" && name != "replace") return "operation " + std::string(name);
  if (!has_value) return "no value";
  if (path.substr(0, prefix.size()) != prefix) return "a path outside the pod";
  op.replace = name == "replace";
  op.path = path.substr(prefix.size());
  if (op.path.empty() || op.path.front() != '/') return "a path outside the pod";
  return {};
}

/// A parser for patches, kept with its buffers while they are of usual size.
simdjson::dom::parser& patch_parser(std::size_t size) {
  constexpr std::size_t kKeepCapacity = std::size_t{64} << 10;
  thread_local std::unique_ptr<simdjson::dom::parser> kept;
  if (!kept || (kept->capacity() > kKeepCapacity && size <= kKeepCapacity)) {
    kept = std::make_unique<simdjson::dom::parser>();
  }
  return *kept;
}

}  // namespace

std::string verify_patch(element pod, std::string_view patch, std::string_view prefix) {
  simdjson::dom::parser& parser = patch_parser(patch.size());
  array operations;
  if (parser.parse(patch.data(), patch.size()).get_array().get(operations) != simdjson::SUCCESS) {
    return "the patch is not a JSON list";
  }
  Verifier verifier(pod);
  for (element item : operations) {
    Operation op;
    if (std::string fault = read_operation(item, prefix, op); !fault.empty()) return fault;
    std::string error = verifier.apply(op);
    if (!error.empty()) return std::string(op.path) + " " + error;
  }
  return verifier.check_lists();
}

}  // namespace gobuildenv::webhooks
