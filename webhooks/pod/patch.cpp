#include "webhooks/pod/patch.hpp"

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
    out_ += out_.empty() ? "[" : ",";
    out_ += R"({"op":")";
    out_ += op;
    out_ += R"(","path":")";
    out_ += prefix_;
    out_ += path;
    out_ += rest;
    out_ += R"(","value":)";
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
void add_items(PatchWriter& patch, const std::string& list, bool exists, const Items& items,
               Added added, Append append) {
  bool open = false;
  for (const auto& item : items) {
    if (!added(item)) continue;
    if (exists) {
      append(patch.begin("add", list, "/-"), item);
      patch.end();
      continue;
    }
    std::string& out = open ? patch.out() : patch.begin("add", list);
    out += open ? ',' : '[';
    open = true;
    append(out, item);
  }
  if (open) {
    patch.out() += ']';
    patch.end();
  }
}

template <typename Items, typename Replaced, typename Append>
void replace_items(PatchWriter& patch, const std::string& list, const Items& items,
                   Replaced replaced, Append append) {
  for (const auto& item : items) {
    if (!replaced(item)) continue;
    append(patch.begin("replace", list + "/" + std::to_string(item.index)), item);
    patch.end();
  }
}

void write_volumes(PatchWriter& patch, const PodView& pod, const Changes& changes) {
  using Outcome = VolumeDecision::Outcome;
  const auto append = [](std::string& out, const VolumeDecision& volume) { out += volume.json; };
  const std::string list = "/spec/volumes";
  replace_items(
      patch, list, changes.volumes,
      [](const VolumeDecision& volume) { return volume.outcome == Outcome::Replaced; }, append);
  add_items(
      patch, list, pod.has_volumes, changes.volumes,
      [](const VolumeDecision& volume) { return volume.outcome == Outcome::Added; }, append);
}

void write_container(PatchWriter& patch, const ContainerDecision& decision) {
  const ContainerView& container = *decision.container;
  const std::string base = (container.list == ContainerList::Containers ? "/spec/containers/"
                                                                        : "/spec/initContainers/") +
                           std::to_string(container.index);
  if (!decision.image.empty()) {
    append_json_string(patch.begin("replace", base + "/image"), decision.image);
    patch.end();
  }
  if (!decision.pull_policy.empty()) {
    append_json_string(patch.begin("replace", base + "/imagePullPolicy"), decision.pull_policy);
    patch.end();
  }
  if (decision.action != ContainerAction::Changed) return;

  const std::string env = base + "/env";
  replace_items(
      patch, env, decision.variables,
      [](const VariableDecision& v) { return v.outcome == VariableOutcome::Replaced; }, append_env);
  add_items(
      patch, env, container.has_env, decision.variables,
      [](const VariableDecision& v) { return v.outcome == VariableOutcome::Added; }, append_env);

  const std::string mounts = base + "/volumeMounts";
  replace_items(
      patch, mounts, decision.mounts,
      [](const MountDecision& m) { return m.outcome == MountOutcome::Replaced; }, append_mount);
  add_items(
      patch, mounts, container.has_mounts, decision.mounts,
      [](const MountDecision& m) { return m.outcome == MountOutcome::Added; }, append_mount);
}

/// Adds those members of `wanted` that `current` has not, as one object where there is none.
/// Gives the object's text instead of an operation when `patch` is null.
std::string write_map(PatchWriter* patch, std::string_view path, bool exists,
                      const StringPairs& current, const StringPairs& wanted) {
  std::string whole = "{";
  for (const auto& [key, value] : wanted) {
    if (PodView::get(current, key) == value) continue;
    if (patch == nullptr || !exists) {
      append_member(whole, key, value);
      continue;
    }
    std::string pointer(path);
    pointer += '/';
    append_pointer_token(pointer, key);
    append_json_string(patch->begin("add", pointer), value);
    patch->end();
  }
  whole += '}';
  if (patch != nullptr && whole.size() > 2) {
    patch->begin("add", path) += whole;
    patch->end();
  }
  return whole;
}

void write_metadata(PatchWriter& patch, const PodView& pod, const Changes& changes) {
  StringPairs labels;
  if (!changes.revision.empty()) labels.emplace_back(goenv::kRevisionLabel, changes.revision);
  StringPairs annotations;
  annotations.emplace_back(goenv::kEnvironmentAnnotation, changes.environment);
  if (!changes.revision.empty()) {
    annotations.emplace_back(goenv::kRevisionAnnotation, changes.revision);
    annotations.emplace_back(goenv::kContainersAnnotation, changes.containers_annotation);
  }
  if (!changes.skipped_annotation.empty()) {
    annotations.emplace_back(goenv::kSkippedAnnotation, changes.skipped_annotation);
  } else if (PodView::get(pod.annotations, goenv::kSkippedAnnotation)) {
    annotations.emplace_back(goenv::kSkippedAnnotation, "{}");
  }
  if (!pod.has_metadata) {
    std::string& out = patch.begin("add", "/metadata");
    out += '{';
    if (!labels.empty()) {
      append_key(out, "labels");
      out += write_map(nullptr, {}, false, {}, labels);
    }
    append_key(out, "annotations");
    out += write_map(nullptr, {}, false, {}, annotations);
    out += '}';
    patch.end();
    return;
  }
  write_map(&patch, "/metadata/labels", pod.has_labels, pod.labels, labels);
  write_map(&patch, "/metadata/annotations", pod.has_annotations, pod.annotations, annotations);
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
