#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

/// YAML files as Kubernetes tools read and write them.
namespace gobuildenv::crds {

struct YamlDocument {
  int line = 1;      ///< where it starts, counted from 1
  std::string json;  ///< the document as JSON text, keys in their order
};

struct YamlError {
  int line = 1;
  std::string message;  ///< "line 3: key \"a\" is there twice"
};

/// Reads every document of `text`, YAML or JSON; empty ones are left out. Plain scalars become what
/// kubectl makes of them, which is a mixture of YAML 1.1 and 1.2: yes, no, on and off are booleans,
/// 0644 and 0o644 octal, 1_000 a number, 1.20 the number 1.2; dates and 1:30 stay strings. Anchors,
/// aliases and merge keys are resolved. Errors: syntax, a key that is there twice or is not a
/// scalar, .inf and .nan (JSON has none), nesting deeper than 100, and documents that aliases blow
/// up beyond a million values.
tl::expected<std::vector<YamlDocument>, YamlError> yaml_to_json(std::string_view text);

/// Writes one JSON value as YAML in block style, keys in their order, without "---". Strings that
/// some YAML parser would take for anything else are quoted, texts of several lines are written as
/// such. Error: `json` is not JSON.
tl::expected<std::string, std::string> json_to_yaml(std::string_view json);

}  // namespace gobuildenv::crds
