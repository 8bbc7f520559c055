#include "webhooks/pod/verify.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "webhooks/pod/patched_list.hpp"
#include "webhooks/pod/pod_parts.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;
using Kind = PatchedList::Kind;

constexpr const char* kNotOurs = "touches what injection may not change";
constexpr const char* kNoParent = "has no parent";

struct Operation {
  bool replace = false;
  std::string_view path;
  element value;
};

/// Cuts the first token off a pointer: of "/a/b" gives "a" and leaves "/b".
std::string_view take_token(std::string_view& pointer) {
  const std::size_t end = std::min(pointer.find('/', 1), pointer.size());
  const std::string_view token = pointer.substr(1, end - 1);
  pointer.remove_prefix(end);
  return token;
}

/// Whether every `~` of a token begins ~0 or ~1 (RFC 6901 section 3).
bool is_well_escaped(std::string_view token) {
  for (std::size_t at = token.find('~'); at != std::string_view::npos; at = token.find('~', at)) {
    if (++at == token.size() || (token[at] != '0' && token[at] != '1')) return false;
  }
  return true;
}

bool is_string_map(element value) {
  object members;
  if (value.get_object().get(members) != simdjson::SUCCESS) return false;
  for (const auto field : members) {
    if (!field.value.is_string()) return false;
  }
  return true;
}

/// Whether `value` is metadata as injection makes it: labels and annotations, each once.
bool is_made_metadata(element value) {
  object members;
  if (value.get_object().get(members) != simdjson::SUCCESS) return false;
  bool labels = false;
  bool annotations = false;
  for (const auto field : members) {
    bool& seen = field.key == "labels" ? labels : annotations;
    if (seen || (field.key != "labels" && field.key != "annotations")) return false;
    seen = true;
    if (!is_string_map(field.value)) return false;
  }
  return true;
}

class Verifier {
 public:
  explicit Verifier(element pod) : pod_(pod) { lists_.reserve(kExpectedLists); }

  std::string apply(const Operation& op) {
    // One item after the other goes to the same list, mostly.
    if (!lists_.empty()) {
      const std::string_view path = lists_.back().path();
      if (op.path.size() > path.size() && op.path[path.size()] == '/' &&
          op.path.starts_with(path)) {
        return apply_item(lists_.back(), op, op.path.substr(path.size()));
      }
    }
    std::string_view rest = op.path;
    const std::string_view top = take_token(rest);
    if (top == "metadata") return apply_metadata(op, rest);
    if (top != "spec" || rest.empty()) return kNotOurs;
    const std::string_view field = take_token(rest);
    if (field == "volumes") {
      if (!pod_.spec.is_object()) return kNoParent;
      return apply_list(Kind::Volumes, pod_.volumes, op, rest);
    }
    if (field == "containers") return apply_container(pod_.containers, op, rest);
    if (field == "initContainers") return apply_container(pod_.init_containers, op, rest);
    return kNotOurs;
  }

  /// What can only be told when all operations are known: mounts have their volume.
  std::string finish() {
    const bool mounts = std::any_of(lists_.begin(), lists_.end(),
                                    [](const auto& list) { return !list.mounted().empty(); });
    if (!mounts) return {};
    // Before the loop: it may be read only now.
    const PatchedList& volumes = list_at(Kind::Volumes, kVolumesPath, pod_.volumes);
    for (const PatchedList& list : lists_) {
      for (const std::string_view volume : list.mounted()) {
        if (volumes.contains(volume) && !volume.empty()) continue;
        return std::string(list.path()) + " has a mount of volume " + std::string(volume) +
               ", which there is not";
      }
    }
    return {};
  }

 private:
  std::string apply_metadata(const Operation& op, std::string_view rest) {
    if (op.replace) return "replaces metadata, which injection only adds to";
    if (rest.empty()) {
      if (!pod_.whole.is_object()) return kNoParent;
      if (pod_.metadata.whole.present && !pod_.metadata.whole.is_null()) {
        return "would replace all metadata";
      }
      if (!is_made_metadata(op.value)) return "is not a map of strings for each of its members";
      pod_.metadata = MetadataParts(Part(op.value));
      return {};
    }
    const std::string_view field = take_token(rest);
    if (field != "labels" && field != "annotations") return kNotOurs;
    Part& map = field == "labels" ? pod_.metadata.labels : pod_.metadata.annotations;
    if (rest.empty()) {
      if (!pod_.metadata.whole.is_object()) return kNoParent;
      if (map.is_object()) return "would replace a whole map";
      if (!is_string_map(op.value)) return "is not a map of strings";
      map = Part(op.value);
      return {};
    }
    if (!map.is_object()) return kNoParent;
    const std::string_view key = take_token(rest);
    if (!rest.empty()) return kNotOurs;
    if (key.empty()) return "names no key";
    if (!is_well_escaped(key)) return "has a bad escape: after ~ comes 0 or 1";
    return op.value.is_string() ? std::string{} : "is not a string";
  }

  std::string apply_container(const Part& list, const Operation& op, std::string_view rest) {
    if (rest.empty()) return kNotOurs;
    const std::string_view token = take_token(rest);
    if (rest.empty()) return kNotOurs;
    const std::string_view field = take_token(rest);
    const bool is_env = field == "env";
    const bool is_text = field == "image" || field == "imagePullPolicy";
    if (!is_env && field != "volumeMounts" && (!is_text || !rest.empty())) {
      return "touches another field of a container";
    }
    std::size_t index = 0;
    const ContainerParts container(parse_index(token, index) ? item_of(list, index) : Part{});
    if (!container.whole.is_object()) return kNoParent;
    if (is_env) return apply_list(Kind::Env, container.env, op, rest);
    if (!is_text) return apply_list(Kind::Mounts, container.mounts, op, rest);
    const Part& member = field == "image" ? container.image : container.pull_policy;
    if (op.replace && !member.present) return "replaces an absent " + std::string(field);
    return op.value.is_string() ? std::string{} : "is not a string";
  }

  /// An operation on a whole list, or on its item `rest`.
  std::string apply_list(Kind kind, const Part& original, const Operation& op,
                         std::string_view rest) {
    const std::string_view path = op.path.substr(0, op.path.size() - rest.size());
    PatchedList& list = list_at(kind, path, original);
    if (!rest.empty()) return apply_item(list, op, rest);
    return op.replace ? "replaces a list, which injection only adds to" : list.make(op.value);
  }

  static std::string apply_item(PatchedList& list, const Operation& op, std::string_view rest) {
    if (rest == "/-" && !op.replace) return list.append(op.value);
    const std::string_view token = take_token(rest);
    if (!rest.empty()) return kNotOurs;
    return op.replace ? list.replace(token, op.value) : "has no such item to add: only - is";
  }

  PatchedList& list_at(Kind kind, std::string_view path, const Part& original) {
    for (PatchedList& list : lists_) {
      if (list.path() == path) return list;
    }
    return lists_.emplace_back(kind, path, original);
  }

  static constexpr std::string_view kVolumesPath = "/spec/volumes";
  static constexpr std::size_t kExpectedLists = 16;

  PodParts pod_;
  std::vector<PatchedList> lists_;
};

/// Reads one operation, each member once. The reason when it is none.
std::string read_operation(element item, std::string_view prefix, Operation& op) {
  object members;
  if (item.get_object().get(members) != simdjson::SUCCESS) return "an operation is no object";
  Part name;
  Part path;
  Part value;
  for (const auto field : members) {
    Part* part = field.key == "op"      ? &name
                 : field.key == "path"  ? &path
                 : field.key == "value" ? &value
                                        : nullptr;
    if (part == nullptr) return "an operation with the member " + std::string(field.key);
    if (part->present) return "an operation with " + std::string(field.key) + " twice";
    *part = Part(field.value);
  }
  const std::string_view verb = name.present ? text_of(name.value) : std::string_view{};
  op.replace = verb == "replace";
  if (!op.replace && verb != "add") return "operation " + std::string(verb);
  if (!value.present) return "no value";
  op.value = value.value;
  const std::string_view pointer = path.present ? text_of(path.value) : std::string_view{};
  if (!pointer.starts_with(prefix)) return "a path outside the pod";
  op.path = pointer.substr(prefix.size());
  if (!op.path.starts_with('/')) return "a path outside the pod";
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
  for (const element item : operations) {
    Operation op;
    if (std::string fault = read_operation(item, prefix, op); !fault.empty()) return fault;
    if (std::string fault = verifier.apply(op); !fault.empty()) {
      return std::string(op.path) + " " + fault;
    }
  }
  return verifier.finish();
}

}  // namespace gobuildenv::webhooks
