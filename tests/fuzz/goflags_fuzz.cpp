#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "goenv/goflags.hpp"
#include "goenv/precedence.hpp"

/// Any text as GOFLAGS: what split gives, join can write so that split gives it again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gobuildenv::goenv;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_go_env(text);
  const auto fields = split_quoted(text);
  if (!fields) return 0;
  for (const auto& field : *fields) (void)check_flag(field, std::nullopt);
  const auto joined = join_quoted(*fields);
  if (!joined) return 0;
  const auto again = split_quoted(*joined);
  if (!again || *again != *fields) std::abort();
  return 0;
}
