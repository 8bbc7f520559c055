#include "webhooks/pod/patch.hpp"

#include <array>
#include <cstddef>

#include "goenv/names.hpp"
#include "webhooks/pod/json_text.hpp"
#include "webhooks/pod/prepared.hpp"

namespace gobuildenv::webhooks {
namespace {

class PatchWriter {
 public:
  explicit PatchWriter(std::string_view prefix) : prefix_(prefix) { out_.reserve(kUsualSize); }

  /// Opens an operation on `path` + `rest` up to its value, which the caller appends to `out()`;
  /// then end().
  std::string& begin(std::string_view op, std::string_view path, std::string_view rest = {}) {
    out_ += out_.empty() ? '[' : ',';
    opened_at_ = out_.size();
    out_ += R"({"op":")";
    out_ += op;
    out_ += R"(","path":")";
    out_ += prefix_;
    out_ += path;
    out_ += rest;
    out_ += R"(","value":)";
    opened_size_ = out_.size() - opened_at_;
    return out_;
  }
  /// Opens another operation like the last one.
  std::string& begin_again() {
    out_ += ',';
    const std::size_t at = out_.size();
    out_.append(out_, opened_at_, opened_size_);
    opened_at_ = at;
    return out_;
  }
  void end() { out_ += '}'; }

  std::string& out() { return out_; }
  std::string finish() {
    if (!out_.empty()) out_ += ']';
    return std::move(out_);
  }

 private:
  static constexpr std::size_t kUsualSize = 8192;

  std::string_view prefix_;
  std::string out_;
  std::size_t opened_at_ = 0;  ///< where the last operation begins, and up to its value
  std::size_t opened_size_ = 0;
};

void append_env(std::string& out, const VariableDecision& variable) {
  if (variable.json.empty()) {
    append_env_entry(out, variable.name, variable.value);
  } else {
    out += variable.json;
  }
}

void append_mount(std::string& out, const MountDecision& mount) { out += mount.json; }

/// Writes a list's additions: one `add` of the whole list where there is none, else one per item.
template <typename Items, typename Added, typename Append>
void add_items(PatchWriter& patch, std::string_view list, bool exists, const Items& items,
               Added added, Append append) {
  bool open = false;
  for (const auto& item : items) {
    if (!added(item)) continue;
    if (exists) {
      append(open ? patch.begin_again() : patch.begin("add", list, "/-"), item);
      open = true;
      patch.end();
      continue;
    }
    std::string& out = open ? patch.out() : patch.begin("add", list);
    out += open ? ',' : '[';
    open = true;
    append(out, item);
  }
  if (!open || exists) return;
  patch.out() += ']';
  patch.end();
}

template <typename Items, typename Replaced, typename Append>
void replace_items(PatchWriter& patch, std::string_view list, const Items& items, Replaced replaced,
                   Append append) {
  for (const auto& item : items) {
    if (!replaced(item)) continue;
    append(patch.begin("replace", list, "/" + std::to_string(item.index)), item);
    patch.end();
  }
}

void write_volumes(PatchWriter& patch, const PodView& pod, const Changes& changes) {
  using Outcome = VolumeDecision::Outcome;
  const auto append = [](std::string& out, const VolumeDecision& volume) { out += volume.json; };
  constexpr std::string_view kList = "/spec/volumes";
  replace_items(
      patch, kList, changes.volumes,
      [](const VolumeDecision& volume) { return volume.outcome == Outcome::Replaced; }, append);
  add_items(
      patch, kList, pod.has_volumes, changes.volumes,
      [](const VolumeDecision& volume) { return volume.outcome == Outcome::Added; }, append);
}

void write_container(PatchWriter& patch, const ContainerDecision& decision) {
  const ContainerView& container = *decision.container;
  std::string path;
  path.reserve(sizeof "/spec/initContainers/12345/imagePullPolicy");
  path +=
      container.list == ContainerList::Containers ? "/spec/containers/" : "/spec/initContainers/";
  path += std::to_string(container.index);
  const std::size_t base = path.size();
  const auto member = [&path, base](std::string_view name) -> std::string_view {
    path.resize(base);
    path += name;
    return path;
  };
  if (!decision.image.empty()) {
    append_json_string(patch.begin("replace", member("/image")), decision.image);
    patch.end();
  }
  if (!decision.pull_policy.empty()) {
    append_json_string(patch.begin("replace", member("/imagePullPolicy")), decision.pull_policy);
    patch.end();
  }
  if (decision.action != ContainerAction::Changed) return;

  const std::string_view env = member("/env");
  replace_items(
      patch, env, decision.variables,
      [](const VariableDecision& v) { return v.outcome == VariableOutcome::Replaced; }, append_env);
  add_items(
      patch, env, container.has_env, decision.variables,
      [](const VariableDecision& v) { return v.outcome == VariableOutcome::Added; }, append_env);

  const std::string_view mounts = member("/volumeMounts");
  replace_items(
      patch, mounts, decision.mounts,
      [](const MountDecision& m) { return m.outcome == MountOutcome::Replaced; }, append_mount);
  add_items(
      patch, mounts, container.has_mounts, decision.mounts,
      [](const MountDecision& m) { return m.outcome == MountOutcome::Added; }, append_mount);
}

/// A label or annotation of ours, as it is written in an object and at the end of a pointer.
struct OwnKey {
  explicit OwnKey(std::string_view text) : key(text) {
    append_json_string(member, text);
    member += ':';
    token += '/';
    append_pointer_token(token, text);
  }

  std::string_view key;
  std::string member;
  std::string token;
};

/// Those of a map that shall have a value: few, and none twice.
class WantedMembers {
 public:
  struct Member {
    const OwnKey* key = nullptr;
    std::string_view value;
  };

  void add(const OwnKey& key, std::string_view value) { members_[size_++] = {&key, value}; }
  bool empty() const { return size_ == 0; }
  const Member* begin() const { return members_.data(); }
  const Member* end() const { return members_.data() + size_; }

 private:
  std::array<Member, 4> members_;
  std::size_t size_ = 0;
};

void append_object(std::string& out, const WantedMembers& wanted) {
  out += '{';
  for (const auto& [key, value] : wanted) {
    if (out.back() != '{') out += ',';
    out += key->member;
    append_json_string(out, value);
  }
  out += '}';
}

/// Adds those of `wanted` that `current` has not, as one object where there is none.
void write_map(PatchWriter& patch, std::string_view path, bool exists, const StringPairs& current,
               const WantedMembers& wanted) {
  if (!exists) {
    if (wanted.empty()) return;
    append_object(patch.begin("add", path), wanted);
    patch.end();
    return;
  }
  for (const auto& [key, value] : wanted) {
    if (PodView::get(current, key->key) == value) continue;
    append_json_string(patch.begin("add", path, key->token), value);
    patch.end();
  }
}

void write_metadata(PatchWriter& patch, const PodView& pod, const Changes& changes) {
  static const OwnKey revision_label(goenv::kRevisionLabel);
  static const OwnKey environment(goenv::kEnvironmentAnnotation);
  static const OwnKey revision(goenv::kRevisionAnnotation);
  static const OwnKey containers(goenv::kContainersAnnotation);
  static const OwnKey skipped(goenv::kSkippedAnnotation);
  WantedMembers labels;
  WantedMembers annotations;
  annotations.add(environment, changes.environment);
  if (!changes.revision.empty()) {
    labels.add(revision_label, changes.revision);
    annotations.add(revision, changes.revision);
    annotations.add(containers, changes.containers_annotation);
  }
  if (!changes.skipped_annotation.empty()) {
    annotations.add(skipped, changes.skipped_annotation);
  } else if (PodView::get(pod.annotations, goenv::kSkippedAnnotation)) {
    annotations.add(skipped, "{}");
  }
  if (pod.has_metadata) {
    write_map(patch, "/metadata/labels", pod.has_labels, pod.labels, labels);
    write_map(patch, "/metadata/annotations", pod.has_annotations, pod.annotations, annotations);
    return;
  }
  std::string& out = patch.begin("add", "/metadata");
  out += '{';
  if (!labels.empty()) {
    append_key(out, "labels");
    append_object(out, labels);
  }
  append_key(out, "annotations");
  append_object(out, annotations);
  out += '}';
  patch.end();
}

}  // namespace

std::string render_patch(const PodView& pod, const Changes& changes, std::string_view prefix) {
  PatchWriter patch(prefix);
  write_volumes(patch, pod, changes);
  for (const ContainerDecision& decision : changes.containers) write_container(patch, decision);
  write_metadata(patch, pod, changes);
  return patch.finish();
}

}  // namespace gobuildenv::webhooks
