#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "goenv/spec.hpp"

namespace gobuildenv::goenv {

/// Reads a list in GOPROXY's form ("https://a.example|https://b.example,direct"; cmd/go
/// modfetch/proxy.go): `,` and `|` say when the next entry is tried. Spaces around entries are
/// dropped, empty text is an empty list. Error: a sentence naming the entry; credentials in a URL
/// are refused and not repeated.
tl::expected<std::vector<Proxy>, std::string> parse_proxy_list(std::string_view text);

}  // namespace gobuildenv::goenv
