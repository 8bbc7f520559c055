#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "crds/gobuildenv.hpp"
#include "crds/yaml.hpp"

/// Any text as a GoBuildEnv: the two readers agree, what is decoded survives its own encoding, and
/// validation has an answer for it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gobuildenv;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto summary = crds::summarize(text);
  const auto object = crds::decode(text);
  if (object) {
    (void)goenv::validate(object->spec);
    (void)goenv::advise(object->spec);
    (void)goenv::validate_name(object->metadata.name);
    const auto encoded = crds::encode_spec(object->spec);
    const auto again = crds::decode_spec(encoded);
    if (!again || crds::encode_spec(*again) != encoded) std::abort();
    const auto yaml = crds::json_to_yaml(encoded);
    const auto back = yaml ? crds::yaml_to_json(*yaml) : crds::yaml_to_json("");
    if (!back || back->size() != 1 || back->front().json != encoded) std::abort();
    const std::string status = crds::encode_status(object->status);
    const auto stored =
        crds::summarize(R"({"metadata":{"name":"x"},"spec":{},"status":)" + status + "}");
    if (!stored || !(stored->status == object->status)) std::abort();
  }
  if (summary) (void)crds::decode_spec(summary->spec_json);
  return 0;
}
