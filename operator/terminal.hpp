#pragma once

#include <string>
#include <string_view>

namespace gobuildenv::cli {

/// `text`, UTF-8, for a terminal: control characters but tab and line end as \xNN. Names and values
/// in manifests and pods are others', and must not move the cursor or rename the window.
std::string terminal_text(std::string_view text);

}  // namespace gobuildenv::cli
