#include "operator/idle_pages.hpp"

#include <link.h>
#include <sys/mman.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>

namespace gobuildenv::cli {
namespace {

using Range = std::pair<std::uintptr_t, std::uintptr_t>;

/// The first word of `rest`, which loses it.
std::string_view take_word(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const auto word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  return word;
}

bool hexadecimal(std::string_view text, std::uintptr_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  return error == std::errc() && end == text.data() + text.size();
}

/// `begin-end` in hexadecimal.
bool addresses(std::string_view word, Range& range) {
  const auto dash = word.find('-');
  return dash != std::string_view::npos && hexadecimal(word.substr(0, dash), range.first) &&
         hexadecimal(word.substr(dash + 1), range.second) && range.first < range.second;
}

std::size_t give_back_listed() noexcept try {
  std::ifstream in("/proc/self/smaps");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::size_t bytes = 0;
  for (const auto& [begin, end] : code_mappings(text)) {
    // An address in this process, as the kernel wrote it. NOLINTNEXTLINE(performance-no-int-to-ptr)
    if (::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED) == 0) {
      bytes += end - begin;
    }
  }
  return bytes;
} catch (const std::exception&) {
  return 0;
}

}  // namespace

bool IdlePages::look(Cpu total) {
  const bool quiet = total - last_ < kQuiet;
  last_ = total;
  if (!quiet || (ever_ && total - given_back_ < kWorth)) return false;
  ever_ = true;
  given_back_ = total;
  return true;
}

std::vector<Range> code_mappings(std::string_view smaps) {
  std::vector<Range> out;
  Range range;
  bool code = false;
  while (!smaps.empty()) {
    auto line = smaps.substr(0, smaps.find('\n'));
    smaps.remove_prefix(std::min(line.size() + 1, smaps.size()));
    const auto first = take_word(line);
    if (first.ends_with(':')) {
      // A page of our own would be lost: a debugger's breakpoint, say.
      if (code && first == "Anonymous:" && take_word(line) == "0") out.push_back(range);
      continue;
    }
    if (!addresses(first, range)) break;
    const auto mode = take_word(line);
    take_word(line);  // offset
    take_word(line);  // device
    take_word(line);  // inode
    code = mode == "r-xp" && take_word(line).starts_with('/');
  }
  return out;
}

std::size_t give_back_code() noexcept {
  std::size_t bytes = 0;
  // glibc holds the loader's lock meanwhile: no library goes, and gives its addresses to data,
  // between the reading of the mappings and the giving back.
  ::dl_iterate_phdr(
      [](dl_phdr_info*, std::size_t, void* given) {
        *static_cast<std::size_t*>(given) = give_back_listed();
        return 1;
      },
      &bytes);
  return bytes;
}

IdlePages::Cpu process_cpu() noexcept {
  timespec used{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

}  // namespace gobuildenv::cli
