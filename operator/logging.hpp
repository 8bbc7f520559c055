#pragma once

#include <string>

namespace gobuildenv::cli {

/// Sets up the process's log on standard error. `format` is "text" or "json" (one object a line,
/// keys ts, level, msg), `level` one of debug, info, warn, error. Both are checked by the flags.
void set_up_logging(const std::string& format, const std::string& level);

}  // namespace gobuildenv::cli
