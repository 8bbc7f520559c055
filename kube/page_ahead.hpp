#pragma once

#include <chrono>
#include <future>
#include <string>
#include <tl/expected.hpp>

#include "kube/client.hpp"

namespace gobuildenv::kube {

/// A list's pages, the next one asked for while the last one is being read: the server encodes it
/// meanwhile. At most one page is ahead. For one thread; `client` outlives it.
class PageAhead {
 public:
  PageAhead(Client& client, ResourceType type) : client_(client), type_(std::move(type)) {}

  /// The page that `options` name: the one asked for ahead, or one asked for now.
  tl::expected<ListPage, Error> get(const ListOptions& options,
                                    std::chrono::steady_clock::time_point deadline);

  /// Asks for the page after the one that `options` named, by the token which that one gave.
  void ask(ListOptions options, const std::string& continue_token,
           std::chrono::steady_clock::time_point deadline);

  /// Waits for what is under way, if anything, and drops it.
  void drop() { page_ = {}; }

 private:
  Client& client_;
  ResourceType type_;
  std::string token_;
  std::future<tl::expected<ListPage, Error>> page_;  ///< its destructor waits
};

}  // namespace gobuildenv::kube
