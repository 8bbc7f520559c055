#pragma once

#include <string>
#include <string_view>

namespace gobuildenv::webhooks {

/// Appends `bytes` in base64 (RFC 4648 section 4, padded), by vectors where the processor has them.
void append_base64(std::string& out, std::string_view bytes);

}  // namespace gobuildenv::webhooks
