#pragma once

#include <simdjson.h>

#include <forward_list>
#include <string>
#include <string_view>
#include <vector>

#include "webhooks/pod/names_seen.hpp"
#include "webhooks/pod/pod_parts.hpp"

namespace gobuildenv::webhooks {

/// A list of the pod as the operations so far leave it: what each of its items is known by. Items
/// of ours may have the members that injection writes, no others, each once and of its type.
class PatchedList {
 public:
  enum class Kind { Env, Mounts, Volumes };

  /// The list at `path`, which is `original` in the pod.
  PatchedList(Kind kind, std::string_view path, const Part& original);

  Kind kind() const { return kind_; }
  std::string_view path() const { return path_; }
  bool contains(std::string_view name) const { return names_.contains(name); }
  /// The volumes that items of ours mount.
  const std::vector<std::string_view>& mounted() const { return mounted_; }

  /// The whole list is made. The reason when it may not be; empty otherwise, as for the others.
  std::string make(simdjson::dom::element items);
  std::string append(simdjson::dom::element item);
  /// `token` is the index as the pointer has it.
  std::string replace(std::string_view token, simdjson::dom::element item);

 private:
  struct Item {
    std::string_view name;
    std::string_view volume;
  };

  std::string_view key() const { return kind_ == Kind::Mounts ? "mountPath" : "name"; }
  std::string read(simdjson::dom::element value, Item& item);
  /// Paths as the container runtime compares them.
  std::string_view comparable(std::string_view name);
  void note_volume(const Item& item);

  Kind kind_;
  std::string_view path_;
  bool exists_;
  NamesSeen names_;
  std::vector<std::string_view> mounted_;
  std::forward_list<std::string> cleaned_;  ///< paths that are written otherwise
};

/// An array index of RFC 6901: digits without a leading zero. False for anything else, and for
/// what no list is long enough for.
bool parse_index(std::string_view token, std::size_t& index);

}  // namespace gobuildenv::webhooks
