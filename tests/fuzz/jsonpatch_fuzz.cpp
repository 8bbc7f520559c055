// A pod and a patch, on two lines: a patch that passes the check applies.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "webhooks/pod/verify.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Json = nlohmann::json;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const std::size_t line = text.find('\n');
  if (line == std::string::npos) return 0;
  const Json pod = Json::parse(text.substr(0, line), nullptr, false);
  const Json patch = Json::parse(text.substr(line + 1), nullptr, false);
  if (pod.is_discarded() || patch.is_discarded()) return 0;
  // Written anew: members that come twice are read differently by every parser.
  const std::string pod_text = pod.dump();
  const std::string patch_text = patch.dump();
  simdjson::dom::parser parser;
  simdjson::dom::element element;
  if (parser.parse(pod_text).get(element) != simdjson::SUCCESS) return 0;
  if (!gobuildenv::webhooks::verify_patch(element, patch_text, "").empty()) return 0;
  pod.patch(patch);  // throws, and so crashes, where the check was wrong
  return 0;
}
