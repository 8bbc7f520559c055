#pragma once

#include <simdjson.h>

#include <cstddef>
#include <string_view>

/// Where a pod holds what injection changes, found in the document itself: the check of a patch
/// must not rest on what the decision has read.
namespace gobuildenv::webhooks {

/// A member of an object, or an item of a list, that may not be there.
struct Part {
  simdjson::dom::element value;
  bool present = false;

  Part() = default;
  explicit Part(simdjson::dom::element found) : value(found), present(true) {}

  bool is_object() const { return present && value.is_object(); }
  bool is_list() const { return present && value.is_array(); }
  bool is_null() const { return present && value.is_null(); }
};

/// The text of a string, else empty.
inline std::string_view text_of(simdjson::dom::element value) {
  std::string_view view;
  return value.get_string().get(view) == simdjson::SUCCESS ? view : std::string_view{};
}

struct MetadataParts {
  MetadataParts() = default;
  explicit MetadataParts(Part metadata);

  Part whole;
  Part labels;
  Part annotations;
};

struct ContainerParts {
  ContainerParts() = default;
  explicit ContainerParts(Part container);

  Part whole;
  Part image;
  Part pull_policy;
  Part env;
  Part mounts;
};

struct PodParts {
  explicit PodParts(simdjson::dom::element pod);

  Part whole;
  MetadataParts metadata;
  Part spec;
  Part volumes;
  Part containers;
  Part init_containers;
};

/// Item `index` of `list`, absent when that is no list or too short.
Part item_of(const Part& list, std::size_t index);

}  // namespace gobuildenv::webhooks
