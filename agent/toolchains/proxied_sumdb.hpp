#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/sumdb/database.hpp"
#include "agent/sumdb/reader.hpp"
#include "agent/toolchains/web_session.hpp"
#include "goenv/spec.hpp"

namespace gobuildenv::agent {

/// Reads a checksum database where the go command would: at the setting's own URL; else through the
/// first proxy that supports it ("<proxy>/sumdb/<name>/supported"), and then through no other; else
/// at https://<name>. One thread uses it.
class ProxiedSumdb final : public sumdb::Reader {
 public:
  /// All arguments outlive it.
  ProxiedSumdb(WebSession& web, const std::vector<goenv::Proxy>& proxies,
               const sumdb::Database& database)
      : web_(web), proxies_(proxies), database_(database), base_(database.url) {}

  tl::expected<std::string, sumdb::Error> read(std::string_view path) override;

 private:
  tl::expected<void, sumdb::Error> choose_base();

  WebSession& web_;
  const std::vector<goenv::Proxy>& proxies_;
  const sumdb::Database& database_;
  std::string base_;  ///< empty until chosen
};

}  // namespace gobuildenv::agent
