#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gobuildenv::kube {

/// RFC 4648 base64 with padding; line breaks and blanks are skipped (kubeconfigs fold long values).
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);
[[nodiscard]] std::string encode_base64(std::string_view bytes);

}  // namespace gobuildenv::kube
