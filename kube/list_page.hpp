#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace gobuildenv::kube {

/// What a list says about itself.
struct ListInfo {
  std::string resource_version;
  std::string continue_token;  ///< empty on the last page
  std::size_t items = 0;
};

/// Splits a list (any kind's …List, meta/v1 ListMeta) into the JSON texts of its items and calls
/// `item` for each, in order. One pass, no memory beside the body: items are delimited by their
/// brackets and strings only, so that a malformed one is its decoder's error and not the list's.
/// An error means that the page as a whole is torn or is no list; items may have been given before.
tl::expected<ListInfo, std::string> split_list(std::string_view body,
                                               const std::function<void(std::string_view)>& item);

}  // namespace gobuildenv::kube
