#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "goenv/gomod.hpp"
#include "goenv/text.hpp"
#include "goenv/version.hpp"

/// Any text as a version, as a go.mod and as a proxy's list of toolchains.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gobuildenv::goenv;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto version = parse_version(text)) {
    const auto again = parse_version(to_string(*version));
    if (!again || *again != *version) std::abort();
  }
  const auto required = required_go(parse_go_mod(text));
  if (!parse_version(required)) std::abort();
  const auto lines = split(text, '\n');
  const auto found = patch_candidates(lines, GoVersion{1, 22}, "linux", "amd64");
  for (std::size_t i = 0; i + 1 < found.size(); ++i) {
    if (found[i] <= found[i + 1]) std::abort();
  }
  return 0;
}
