#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "crds/yaml.hpp"

/// Any text as YAML: an answer, and what was read can be written and read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gobuildenv;
  const auto documents =
      crds::yaml_to_json(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!documents) return 0;
  for (const auto& document : *documents) {
    const auto yaml = crds::json_to_yaml(document.json);
    if (!yaml) std::abort();
    const auto again = crds::yaml_to_json(*yaml);
    if (!again || again->size() != 1 || again->front().json != document.json) std::abort();
  }
  return 0;
}
