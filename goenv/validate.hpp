#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "goenv/spec.hpp"

namespace gobuildenv::goenv {

/// One thing wrong with a spec, fit to be shown as it is: `field` is the JSON path below the object
/// ("spec.modules.proxies[1].url"), `value` what was written (never a credential), `message` says
/// what is wrong and what to write instead.
struct FieldError {
  std::string field;
  std::string value;
  std::string message;
};

/// Everything wrong with `spec`, in field order; empty when it may be rendered. Says what CEL in
/// the CRD cannot, and repeats what CEL says, for specs that never met the API server. Pure.
std::vector<FieldError> validate(const Spec& spec);

/// What is wrong with an environment's name: it is part of ConfigMaps' names and a label's value,
/// and so has at most 52 characters. Field "metadata.name".
std::vector<FieldError> validate_name(std::string_view name);

/// Things that are allowed but probably not meant, for admission warnings (≤ 120 characters each).
std::vector<std::string> advise(const Spec& spec);

}  // namespace gobuildenv::goenv
