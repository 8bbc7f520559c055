#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/toolchains/inflate.hpp"
#include "agent/toolchains/netrc.hpp"
#include "agent/toolchains/record.hpp"
#include "agent/toolchains/toolchain_id.hpp"
#include "agent/toolchains/zip_directory.hpp"
#include "agent/unique_fd.hpp"

/// Any bytes as a zip file, and as the small files beside it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gobuildenv::agent;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_netrc(text);
  if (const auto id = parse_toolchain_id(text); id && id->name() != text) std::abort();
  if (const auto record = decode_record(text)) {
    if (decode_record(encode_record(*record)) != record) std::abort();
  }

  const UniqueFd file(::memfd_create("zip", MFD_CLOEXEC));
  if (!file || ::write(file.get(), data, size) != static_cast<ssize_t>(size)) return 0;
  ZipLimits limits;
  limits.file = 1U << 20U;
  limits.total = 4U << 20U;
  limits.entries = 100;
  const auto entries = read_zip_directory(file.get(), limits);
  if (!entries) return 0;
  Inflater inflater(file.get());
  for (const ZipEntry& entry : *entries) {
    if (!plain_path(entry.name) || entry.name.starts_with('/') || entry.size > limits.file) {
      std::abort();
    }
    std::uint64_t given = 0;
    const std::string wrong = inflater.read(entry, [&](std::string_view part) {
      given += part.size();
      return true;
    });
    if (given > entry.size || (wrong.empty() && given != entry.size)) std::abort();
  }
  return 0;
}
