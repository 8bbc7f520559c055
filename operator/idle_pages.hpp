#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace gobuildenv::cli {

/// When a process that mostly waits gives back the code that only its last work needed: after
/// work, once a look finds that little has happened since the look before. Pure.
class IdlePages {
 public:
  using Cpu = std::chrono::nanoseconds;

  /// Between two looks; each costs one system call.
  static constexpr std::chrono::seconds kInterval{30};
  /// CPU of an interval, below which the process has nothing to do.
  static constexpr Cpu kQuiet = std::chrono::milliseconds(20);
  /// CPU since pages were given back, from which it is worth doing again.
  static constexpr Cpu kWorth = std::chrono::milliseconds(100);

  /// `total`: CPU time of the process up to now. True when pages are to be given back; the start of
  /// the process counts as work.
  bool look(Cpu total);

 private:
  Cpu last_{0};
  Cpu given_back_{0};
  bool ever_ = false;
};

/// Address ranges, begin and end, of the mappings in `smaps` (text of /proc/PID/smaps) that hold
/// code of files and no page of this process' own. A line that is none of smaps' ends the reading.
std::vector<std::pair<std::uintptr_t, std::uintptr_t>> code_mappings(std::string_view smaps);

/// Unmaps this process' code pages. They stay in the page cache; the next use of one maps it again,
/// with its neighbours and without I/O. Relocated and written data are never touched. Gives the
/// bytes of the mappings, 0 when /proc cannot be read.
std::size_t give_back_code() noexcept;

/// CPU time that this process has used.
IdlePages::Cpu process_cpu() noexcept;

}  // namespace gobuildenv::cli
