#include "kube/pager.hpp"

namespace gobuildenv::kube {

tl::expected<ListInfo, Error> list_all(Client& client, const PagedList& list,
                                       const std::function<void(std::string_view)>& item,
                                       const std::function<void()>& restart, Deadline deadline) {
  ListOptions options = list.options;
  options.continue_token.clear();
  const bool paged = options.resource_version.empty() || options.resource_version == "0";
  options.limit = paged ? list.page_size : 0;
  ListInfo whole;
  for (;;) {
    auto page = client.list(list.type, options, deadline);
    if (!page) {
      if (page.error().kind != Error::Kind::Gone || options.continue_token.empty()) {
        return tl::unexpected(std::move(page.error()));
      }
      restart();
      whole = ListInfo();
      options.limit = 0;
      options.continue_token.clear();
      // Any version will do: the one that the pages came from is what is gone.
      options.resource_version.clear();
      options.resource_version_match.clear();
      continue;
    }
    auto info = split_list(page->body, item);
    if (!info) {
      Error error;
      error.message = info.error();
      return tl::unexpected(std::move(error));
    }
    whole.items += info->items;
    if (whole.resource_version.empty()) {
      // The first page's: later pages show the same state, or on some servers a later one.
      whole.resource_version = info->resource_version;
    }
    if (info->continue_token.empty()) {
      return whole;
    }
    options.continue_token = std::move(info->continue_token);
  }
}

}  // namespace gobuildenv::kube
