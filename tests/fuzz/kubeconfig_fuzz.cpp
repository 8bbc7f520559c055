// Any text is a kubeconfig or an error that names the file, and what resolves can be connected to.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kube/kubeconfig.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gobuildenv::kube;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parsed = parse_kubeconfig(text, "folder/config");
  if (!parsed) {
    if (parsed.error().text().find("folder/config") != 0) {
      std::abort();
    }
    return 0;
  }
  // First wins: the same file once more changes nothing.
  const Kubeconfig merged = merge_kubeconfigs({*parsed, *parsed});
  if (merged.clusters.size() != parsed->clusters.size() ||
      merged.current_context != parsed->current_context) {
    std::abort();
  }
  for (const auto& [name, context] : merged.contexts) {
    if (name.empty()) {
      std::abort();
    }
    const auto config = resolve_context(merged, name);
    if (config ? config->server.host.empty() || config->server.port == 0
               : config.error().fix.empty()) {
      std::abort();
    }
  }
  return 0;
}
