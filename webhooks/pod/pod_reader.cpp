#include "webhooks/pod/pod_reader.hpp"

#include "goenv/names.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

std::string_view text(element value) {
  std::string_view view;
  return value.get_string().get(view) == simdjson::SUCCESS ? view : std::string_view{};
}

bool truth(element value) {
  bool result = false;
  return value.get_bool().get(result) == simdjson::SUCCESS && result;
}

/// Calls `each(index, object)` for the objects of a list; false when `value` is no list.
template <typename Each>
bool for_objects(element value, Each each) {
  array list;
  if (value.get_array().get(list) != simdjson::SUCCESS) return false;
  std::size_t index = 0;
  for (element item : list) {
    object members;
    if (item.get_object().get(members) == simdjson::SUCCESS) each(index, members);
    ++index;
  }
  return true;
}

bool read_pairs(element value, StringPairs& pairs) {
  object members;
  if (value.get_object().get(members) != simdjson::SUCCESS) return false;
  pairs.reserve(members.size());
  for (auto field : members) pairs.emplace_back(field.key, text(field.value));
  return true;
}

EnvEntry read_env(object members) {
  EnvEntry entry;
  for (auto field : members) {
    if (field.key == "name") {
      entry.name = text(field.value);
    } else if (field.key == "value") {
      entry.value = text(field.value);
    } else if (field.key == "valueFrom") {
      entry.value_from = !field.value.is_null();
    }
  }
  return entry;
}

MountEntry read_mount(object members) {
  MountEntry entry;
  for (auto field : members) {
    if (field.key == "name") {
      entry.volume = text(field.value);
    } else if (field.key == "mountPath") {
      entry.path = text(field.value);
    } else if (field.key == "subPath") {
      entry.sub_path = text(field.value);
    } else if (field.key == "readOnly") {
      entry.read_only = truth(field.value);
    }
  }
  return entry;
}

ContainerView read_container(ContainerList list, std::size_t index, object members) {
  ContainerView view;
  view.list = list;
  view.index = index;
  for (auto field : members) {
    if (field.key == "name") {
      view.name = text(field.value);
    } else if (field.key == "image") {
      view.image = text(field.value);
    } else if (field.key == "imagePullPolicy") {
      view.pull_policy = text(field.value);
    } else if (field.key == "restartPolicy") {
      view.native_sidecar = list == ContainerList::InitContainers && text(field.value) == "Always";
    } else if (field.key == "envFrom") {
      array sources;
      view.env_from =
          field.value.get_array().get(sources) == simdjson::SUCCESS && sources.size() > 0;
    } else if (field.key == "env") {
      // Entries that are no objects still take a position, so the views keep the list's indices.
      array entries;
      if (field.value.get_array().get(entries) == simdjson::SUCCESS) {
        view.has_env = true;
        view.env.reserve(entries.size());
        for (element entry : entries) {
          object entry_members;
          view.env.push_back(entry.get_object().get(entry_members) == simdjson::SUCCESS
                                 ? read_env(entry_members)
                                 : EnvEntry{});
        }
      }
    } else if (field.key == "volumeMounts") {
      array entries;
      if (field.value.get_array().get(entries) == simdjson::SUCCESS) {
        view.has_mounts = true;
        view.mounts.reserve(entries.size());
        for (element entry : entries) {
          object entry_members;
          view.mounts.push_back(entry.get_object().get(entry_members) == simdjson::SUCCESS
                                    ? read_mount(entry_members)
                                    : MountEntry{});
        }
      }
    }
  }
  return view;
}

void read_volumes(element value, PodView& pod) {
  array entries;
  if (value.get_array().get(entries) != simdjson::SUCCESS) return;
  pod.has_volumes = true;
  pod.volumes.reserve(entries.size());
  for (element entry : entries) {
    VolumeView view;
    bool read_only = false;
    object members;
    if (entry.get_object().get(members) == simdjson::SUCCESS) {
      for (auto field : members) {
        object source;
        if (field.key == "name") {
          view.name = text(field.value);
        } else if (field.key == "configMap" || field.key == "secret" || field.key == "projected" ||
                   field.key == "downwardAPI" || field.key == "image") {
          view.always_read_only = !field.value.is_null();
        } else if (field.value.get_object().get(source) == simdjson::SUCCESS) {
          // persistentVolumeClaim, csi, nfs and others: the kubelet mounts it read-only everywhere.
          bool yes = false;
          read_only |= source["readOnly"].get_bool().get(yes) == simdjson::SUCCESS && yes;
        }
      }
    }
    if (view.name.substr(0, goenv::kVolumePrefix.size()) == goenv::kVolumePrefix) {
      view.json = simdjson::minify(entry);
    } else {
      view.always_read_only |= read_only;
    }
    pod.volumes.push_back(std::move(view));
  }
}

void read_spec(object spec, PodView& pod) {
  constexpr std::size_t kUsualContainers = 6;
  element containers;
  bool has_containers = false;
  pod.containers.reserve(kUsualContainers);
  for (auto field : spec) {
    if (field.key == "volumes") {
      read_volumes(field.value, pod);
    } else if (field.key == "initContainers") {
      for_objects(field.value, [&](std::size_t index, object members) {
        pod.containers.push_back(read_container(ContainerList::InitContainers, index, members));
      });
    } else if (field.key == "containers") {
      containers = field.value;
      has_containers = true;
    } else if (field.key == "securityContext") {
      std::int64_t group = 0;
      if (field.value["fsGroup"].get_int64().get(group) == simdjson::SUCCESS) pod.fs_group = group;
    } else if (field.key == "hostUsers") {
      bool host = true;
      pod.user_namespace = field.value.get_bool().get(host) == simdjson::SUCCESS && !host;
    } else if (field.key == "os") {
      std::string_view name;
      if (field.value["name"].get_string().get(name) == simdjson::SUCCESS) pod.os = name;
    } else if (field.key == "nodeSelector") {
      std::string_view name;
      if (pod.os.empty() &&
          field.value["kubernetes.io/os"].get_string().get(name) == simdjson::SUCCESS) {
        pod.os = name;
      }
    }
  }
  if (!has_containers) return;
  for_objects(containers, [&](std::size_t index, object members) {
    pod.containers.push_back(read_container(ContainerList::Containers, index, members));
  });
}

}  // namespace

PodView read_pod(element value) {
  PodView pod;
  object root;
  if (value.get_object().get(root) != simdjson::SUCCESS) return pod;
  for (auto field : root) {
    object members;
    if (field.key == "metadata" && field.value.get_object().get(members) == simdjson::SUCCESS) {
      pod.has_metadata = true;
      for (auto meta : members) {
        if (meta.key == "labels") {
          pod.has_labels = read_pairs(meta.value, pod.labels);
        } else if (meta.key == "annotations") {
          pod.has_annotations = read_pairs(meta.value, pod.annotations);
        }
      }
    } else if (field.key == "spec" && field.value.get_object().get(members) == simdjson::SUCCESS) {
      pod.has_spec = true;
      read_spec(members, pod);
    }
  }
  return pod;
}

}  // namespace gobuildenv::webhooks
