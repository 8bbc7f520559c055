#include "agent/toolchains/proxied_sumdb.hpp"

#include <fmt/format.h>

#include "agent/toolchains/proxies.hpp"

namespace gobuildenv::agent {
namespace {

using Kind = sumdb::Error::Kind;

bool absent(int status) { return status == 404 || status == 410; }

std::string without_slash(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

}  // namespace

tl::expected<void, sumdb::Error> ProxiedSumdb::choose_base() {
  const std::string& name = database_.key.name;
  const auto failure = try_proxies(proxies_, [&](const std::string& proxy) -> ProxyOutcome {
    const std::string base = fmt::format("{}/sumdb/{}", without_slash(proxy), name);
    const auto page = web_.read(base + "/supported");
    if (page && page->status == 200) {
      base_ = base;
      return {};
    }
    if (page && absent(page->status)) return {ProxyOutcome::Kind::NotHere, {"NotFound", "", false}};
    const std::string what =
        page ? fmt::format("it answered HTTP {}", page->status) : page.error().message;
    return {ProxyOutcome::Kind::Failed,
            {"SumdbUnreachable",
             fmt::format("module proxy {} could not be asked for checksum database {}: {}",
                         shown_url(proxy), name, what),
             true}};
  });
  // No proxy that could be asked knows it: the database itself does.
  if (base_.empty() && failure && failure->reason == "SumdbUnreachable") {
    return tl::unexpected(sumdb::Error{Kind::Unreachable, failure->message});
  }
  if (base_.empty()) base_ = "https://" + name;
  return {};
}

tl::expected<std::string, sumdb::Error> ProxiedSumdb::read(std::string_view path) {
  if (base_.empty()) {
    if (const auto chosen = choose_base(); !chosen) return tl::unexpected(chosen.error());
  }
  const std::string url = without_slash(base_) + std::string(path);
  auto page = web_.read(url);
  if (!page) {
    return tl::unexpected(sumdb::Error{
        Kind::Unreachable, fmt::format("{}: {}", shown_url(url), page.error().message)});
  }
  if (page->status == 200) return std::move(page->body);
  return tl::unexpected(
      sumdb::Error{absent(page->status) ? Kind::NotFound : Kind::Unreachable,
                   fmt::format("{} answered HTTP {}", shown_url(url), page->status)});
}

}  // namespace gobuildenv::agent
