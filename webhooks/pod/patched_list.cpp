#include "webhooks/pod/patched_list.hpp"

#include "webhooks/pod/paths.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

/// More than most patches add to one list.
constexpr std::size_t kExpectedAdditions = 32;

std::string twice(std::string_view key) { return "has the member " + std::string(key) + " twice"; }

std::string not_a(std::string_view key, std::string_view type) {
  return "has an item whose " + std::string(key) + " is not " + std::string(type);
}

}  // namespace

bool parse_index(std::string_view token, std::size_t& index) {
  constexpr std::size_t kMaxDigits = 9;
  if (token.empty() || token.size() > kMaxDigits || (token.size() > 1 && token[0] == '0')) {
    return false;
  }
  index = 0;
  for (const char c : token) {
    if (c < '0' || c > '9') return false;
    index = index * 10 + static_cast<std::size_t>(c - '0');
  }
  return true;
}

PatchedList::PatchedList(Kind kind, std::string_view path, const Part& original)
    : kind_(kind), path_(path), exists_(original.is_list()) {
  if (!exists_) return;
  const array items = original.value.get_array().value_unsafe();
  names_.reserve(items.size() + kExpectedAdditions);
  for (const element item : items) {
    std::string_view name;
    element value;
    if (item[key()].get(value) == simdjson::SUCCESS) name = text_of(value);
    names_.add(comparable(name));
  }
}

std::string_view PatchedList::comparable(std::string_view name) {
  if (kind_ != Kind::Mounts || name.empty() || is_clean_path(name)) return name;
  return cleaned_.emplace_front(clean_path(name));
}

/// Reads an item of ours, each member once.
std::string PatchedList::read(element value, Item& item) {
  object members;
  if (value.get_object().get(members) != simdjson::SUCCESS) return "is not an object";
  bool has_name = false;
  bool has_key = false;
  for (const auto field : members) {
    const bool is_name = field.key == "name";
    if (is_name || (kind_ == Kind::Mounts && field.key == "mountPath")) {
      bool& seen = is_name ? has_name : has_key;
      if (seen) return twice(field.key);
      seen = true;
      if (!field.value.is_string()) return not_a(field.key, "a string");
      (is_name && kind_ == Kind::Mounts ? item.volume : item.name) = text_of(field.value);
    } else if (kind_ == Kind::Volumes) {
      if (!field.value.is_object()) return not_a(field.key, "an object");
    } else if (field.key == (kind_ == Kind::Env ? "value" : "subPath")) {
      if (!field.value.is_string()) return not_a(field.key, "a string");
    } else if (kind_ == Kind::Mounts && field.key == "readOnly") {
      if (!field.value.is_bool()) return not_a(field.key, "a boolean");
    } else {
      return "has an item with the member " + std::string(field.key);
    }
  }
  if (item.name.empty()) return "has an item without " + std::string(key());
  item.name = comparable(item.name);
  return {};
}

void PatchedList::note_volume(const Item& item) {
  if (kind_ != Kind::Mounts) return;
  if (mounted_.empty()) mounted_.reserve(kExpectedAdditions);
  if (mounted_.empty() || mounted_.back() != item.volume) mounted_.push_back(item.volume);
}

std::string PatchedList::make(element items) {
  array list;
  if (exists_) return "would replace a whole list";
  if (items.get_array().get(list) != simdjson::SUCCESS) return "is not a list";
  exists_ = true;
  names_.reserve(list.size());
  for (const element item : list) {
    if (std::string fault = append(item); !fault.empty()) return fault;
  }
  return {};
}

std::string PatchedList::append(element value) {
  if (!exists_) return "has no list to go to";
  Item item;
  if (std::string fault = read(value, item); !fault.empty()) return fault;
  if (names_.contains(item.name)) {
    return "has a duplicate " + std::string(key()) + " " + std::string(item.name);
  }
  names_.add(item.name);
  note_volume(item);
  return {};
}

std::string PatchedList::replace(std::string_view token, element value) {
  std::size_t index = 0;
  if (!parse_index(token, index) || index >= names_.size()) return "has no such item";
  Item item;
  if (std::string fault = read(value, item); !fault.empty()) return fault;
  if (item.name != names_[index]) return "has another " + std::string(key());
  note_volume(item);
  return {};
}

}  // namespace gobuildenv::webhooks
