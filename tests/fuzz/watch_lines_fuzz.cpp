#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "kube/list_page.hpp"
#include "kube/object_meta.hpp"
#include "kube/watch_decoder.hpp"

// What an API server, or whoever stands in for it, may send on a watch or as a list. The first byte
// says how the rest is cut into reads; the lines must not depend on it, and neither parser may read
// beyond its text.
namespace {

using gobuildenv::kube::decode_header;
using gobuildenv::kube::decode_identity;
using gobuildenv::kube::decode_watch_line;
using gobuildenv::kube::LineSplitter;
using gobuildenv::kube::split_list;

constexpr std::size_t kMaxLine = 4096;

std::vector<std::string> lines_of(std::string_view bytes, std::size_t step) {
  LineSplitter splitter(kMaxLine);
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const auto space = splitter.space();
    const auto count = std::min({space.size, step, bytes.size()});
    std::memcpy(space.data, bytes.data(), count);
    splitter.filled(count);
    bytes.remove_prefix(count);
    std::string_view line;
    while (true) {
      const auto next = splitter.next(line);
      if (next == LineSplitter::Next::TooLong) return lines;
      if (next == LineSplitter::Next::NeedMore) break;
      lines.emplace_back(line);
    }
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto lines = lines_of(bytes, static_cast<std::size_t>(data[0]) + 1);
  if (lines != lines_of(bytes, bytes.size() + 1)) std::abort();
  for (const auto& line : lines) {
    const auto event = decode_watch_line(line);
    if (!event) continue;
    if (event->object.data() < line.data() ||
        event->object.data() + event->object.size() > line.data() + line.size()) {
      std::abort();
    }
    static_cast<void>(decode_identity(event->object));
    static_cast<void>(decode_header(event->object));
  }
  static_cast<void>(split_list(bytes, [&](std::string_view item) {
    if (item.data() < bytes.data() || item.data() + item.size() > bytes.data() + bytes.size()) {
      std::abort();
    }
    static_cast<void>(decode_identity(item));
  }));
  return 0;
}
