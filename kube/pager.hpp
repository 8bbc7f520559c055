#pragma once

#include <functional>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/client.hpp"
#include "kube/list_page.hpp"

namespace gobuildenv::kube {

/// What a walk over a whole list needs to know.
struct PagedList {
  ResourceType type;
  ListOptions options;  ///< limit and continue_token are the pager's own
  int page_size = 500;
};

/// Walks a list page by page (client-go/tools/pager) and calls `item` with each object's JSON text.
/// `restart` is called when what was given so far is to be forgotten: a page after the first was
/// answered 410, and the list is read once more in one piece. Lists at a resourceVersion other than
/// "" and "0" are not paged. Gives the list's resourceVersion and how many items it has.
[[nodiscard]] tl::expected<ListInfo, Error> list_all(
    Client& client, const PagedList& list, const std::function<void(std::string_view)>& item,
    const std::function<void()>& restart, Deadline deadline);

}  // namespace gobuildenv::kube
