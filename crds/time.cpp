#include "crds/time.hpp"

#include <fmt/format.h>

#include <chrono>

namespace gobuildenv::crds {

std::string format_time(std::int64_t unix_seconds) {
  using namespace std::chrono;
  const sys_seconds time{seconds{unix_seconds}};
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::int64_t parse_time(std::string_view text) {
  using namespace std::chrono;
  // "YYYY-MM-DDTHH:MM:SS" then an optional fraction, then Z or ±HH:MM.
  if (text.size() < 20) return 0;
  bool ok = true;
  const auto digits = [&](std::size_t at, std::size_t count) {
    int value = 0;
    for (std::size_t i = at; i < at + count; ++i) {
      if (i >= text.size() || text[i] < '0' || text[i] > '9') {
        ok = false;
        return 0;
      }
      value = value * 10 + (text[i] - '0');
    }
    return value;
  };
  const int y = digits(0, 4);
  const int m = digits(5, 2);
  const int d = digits(8, 2);
  const int hour = digits(11, 2);
  const int minute = digits(14, 2);
  const int second = digits(17, 2);
  if (!ok || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') ||
      text[13] != ':' || text[16] != ':' || hour > 23 || minute > 59 || second > 60) {
    return 0;
  }
  const year_month_day date{year{y}, month{static_cast<unsigned>(m)},
                            day{static_cast<unsigned>(d)}};
  if (!date.ok()) return 0;
  std::size_t at = 19;
  if (text[at] == '.') {
    ++at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  }
  if (at >= text.size()) return 0;
  int offset_minutes = 0;
  if (text[at] == '+' || text[at] == '-') {
    offset_minutes = digits(at + 1, 2) * 60 + digits(at + 4, 2);
    if (!ok) return 0;
    if (text[at] == '-') offset_minutes = -offset_minutes;
  } else if (text[at] != 'Z' && text[at] != 'z') {
    return 0;
  }
  const sys_seconds time =
      sys_days{date} + hours{hour} + minutes{minute - offset_minutes} + seconds{second};
  return time.time_since_epoch().count();
}

}  // namespace gobuildenv::crds
