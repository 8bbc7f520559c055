#include "kube/rfc3339.hpp"

#include <fmt/format.h>

#include <charconv>

namespace gobuildenv::kube {
namespace {

/// Takes exactly `digits` digits off the front.
bool take(std::string_view& text, std::size_t digits, int& out) {
  if (text.size() < digits || text[0] < '0' || text[0] > '9') {
    return false;
  }
  const auto [end, ec] = std::from_chars(text.data(), text.data() + digits, out);
  if (ec != std::errc{} || end != text.data() + digits) {
    return false;
  }
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, char wanted) {
  if (text.empty() || (text[0] | 0x20) != (wanted | 0x20)) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<std::chrono::system_clock::time_point> parse_rfc3339(std::string_view text) {
  using namespace std::chrono;
  int y = 0;
  int mo = 0;
  int d = 0;
  int h = 0;
  int mi = 0;
  int s = 0;
  if (!(take(text, 4, y) && take(text, '-') && take(text, 2, mo) && take(text, '-') &&
        take(text, 2, d) && take(text, 'T') && take(text, 2, h) && take(text, ':') &&
        take(text, 2, mi) && take(text, ':') && take(text, 2, s))) {
    return std::nullopt;
  }
  long micros = 0;
  if (take(text, '.')) {
    long unit = 100'000;
    int digit = 0;
    bool any = false;
    while (take(text, 1, digit)) {
      micros += digit * unit;
      unit /= 10;
      any = true;
    }
    if (!any) {
      return std::nullopt;
    }
  }
  minutes offset{0};
  if (!take(text, 'Z')) {
    const bool minus = text.starts_with('-');
    if (!minus && !text.starts_with('+')) {
      return std::nullopt;
    }
    text.remove_prefix(1);
    int oh = 0;
    int om = 0;
    if (!(take(text, 2, oh) && take(text, ':') && take(text, 2, om)) || oh > 23 || om > 59) {
      return std::nullopt;
    }
    offset = minutes{(oh * 60 + om) * (minus ? -1 : 1)};
  }
  const year_month_day day{year{y}, month{static_cast<unsigned>(mo)},
                           std::chrono::day{static_cast<unsigned>(d)}};
  if (!text.empty() || !day.ok() || h > 23 || mi > 59 || s > 60) {
    return std::nullopt;
  }
  // system_clock counts nanoseconds in 64 bits: 1678 to 2261. "Never" is often written as year
  // 9999.
  if (y < 1700 || y > 2200) {
    return system_clock::time_point(sys_days{year{y < 1700 ? 1700 : 2200} / 1 / 1});
  }
  return sys_days{day} + hours{h} + minutes{mi} + seconds{s} + microseconds{micros} - offset;
}

std::string format_micro_time(std::chrono::system_clock::time_point time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const auto rest = floor<microseconds>(time - day);
  const auto h = duration_cast<hours>(rest);
  const auto m = duration_cast<minutes>(rest - h);
  const auto s = duration_cast<seconds>(rest - h - m);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     h.count(), m.count(), s.count(), (rest - h - m - s).count());
}

}  // namespace gobuildenv::kube
