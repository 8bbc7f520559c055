#include "kube/page_ahead.hpp"

#include <utility>

namespace gobuildenv::kube {

tl::expected<ListPage, Error> PageAhead::get(const ListOptions& options,
                                             std::chrono::steady_clock::time_point deadline) {
  if (page_.valid() && !options.continue_token.empty() && options.continue_token == token_) {
    return std::exchange(page_, {}).get();
  }
  drop();
  return client_.list(type_, options, deadline);
}

void PageAhead::ask(ListOptions options, const std::string& continue_token,
                    std::chrono::steady_clock::time_point deadline) {
  // A token stands for the version of the first page: naming one beside it is refused.
  options.resource_version.clear();
  options.resource_version_match.clear();
  options.continue_token = continue_token;
  token_ = continue_token;
  page_ = std::async(std::launch::async, [this, options = std::move(options), deadline] {
    return client_.list(type_, options, deadline);
  });
}

}  // namespace gobuildenv::kube
