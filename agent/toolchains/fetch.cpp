#include "agent/toolchains/fetch.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/durable_file.hpp"
#include "agent/sumdb/client.hpp"
#include "agent/toolchains/proxied_sumdb.hpp"
#include "agent/toolchains/proxies.hpp"
#include "agent/unique_fd.hpp"
#include "agent/write_all.hpp"
#include "kube/url.hpp"

namespace gobuildenv::agent {

/// Registers a session and its stream with the stop for as long as they live.
class FetchScope {
 public:
  FetchScope(FetchStop& stop, WebSession& session) : stop_(stop), session_(session) {
    const std::lock_guard lock(stop_.mutex_);
    stop_.sessions_.push_back(&session_);
    if (stop_.stopped()) session_.cancel();
  }
  ~FetchScope() {
    const std::lock_guard lock(stop_.mutex_);
    std::erase(stop_.sessions_, &session_);
  }
  FetchScope(const FetchScope&) = delete;
  FetchScope& operator=(const FetchScope&) = delete;

  void enter(kube::ByteStream* stream) {
    const std::lock_guard lock(stop_.mutex_);
    stop_.streams_.push_back(stream);
    if (stop_.stopped()) stream->cancel();
  }
  void leave(kube::ByteStream* stream) {
    const std::lock_guard lock(stop_.mutex_);
    std::erase(stop_.streams_, stream);
  }

 private:
  FetchStop& stop_;
  WebSession& session_;
};

void FetchStop::stop() noexcept {
  stopped_.store(true);
  const std::lock_guard lock(mutex_);
  for (WebSession* session : sessions_) session->cancel();
  for (kube::ByteStream* stream : streams_) stream->cancel();
}

namespace {

constexpr std::size_t kPart = 131072;
constexpr std::string_view kModule = "golang.org/toolchain";

Failure disk_failure(const StoreError& error) {
  switch (error.kind) {
    case StoreError::Kind::DiskFull:
      return {"DiskFull", error.message, true};
    case StoreError::Kind::ReadOnly:
      return {"ReadOnlyDisk", error.message, true};
    case StoreError::Kind::Io:
    case StoreError::Kind::Invalid:
      break;
  }
  return {"DiskError", error.message, true};
}

Failure disk_failure(std::string_view doing, const std::string& path, int code) {
  return disk_failure(store_error(doing, path, {code, std::generic_category()}));
}

Failure stopped_failure() { return {"Stopped", "the agent is stopping", true}; }

Failure sumdb_failure(const ToolchainId& id, const sumdb::Error& error) {
  using Kind = sumdb::Error::Kind;
  const std::string message =
      fmt::format("the sum of {} is not known: {}", id.name(), error.message);
  switch (error.kind) {
    case Kind::Unreachable:
    case Kind::Malformed:  // a login page, say: somebody else has answered
      return {"SumdbUnreachable", message, true};
    case Kind::NotFound:
      return {"NotFound",
              fmt::format("the checksum database knows no {}: there is no such release for the "
                          "platform, or it is newer than what the proxy has seen ({})",
                          id.name(), error.message),
              false};
    case Kind::Disk:
      return disk_failure(store_error(message, error.code));
    case Kind::Unverified:
    case Kind::Forked:
      break;
  }
  return {"SumdbForged", message, false};
}

/// The sum the toolchain must have.
tl::expected<std::string, Failure> wanted_sum(const ToolchainWant& want, sumdb::HeadStore* heads,
                                              const FetchOptions& options, WebSession& web) {
  if (want.pinned) {
    if (store_key(want.pinned->h1, want.pinned->namespace_uid).empty()) {
      return tl::unexpected(
          Failure{"SumMismatch",
                  fmt::format("the sum \"{}\" pinned for {} is not one: write h1: and the base64 "
                              "of 32 bytes, as in go.sum, in spec.toolchain.sums",
                              want.pinned->h1, want.id.name()),
                  false});
    }
    return want.pinned->h1;
  }
  if (!options.database || heads == nullptr) {
    return tl::unexpected(Failure{"SumdbUnreachable",
                                  fmt::format("no checksum database is configured to verify {} "
                                              "with: set --sum-db, or pin spec.toolchain.sums",
                                              want.id.name()),
                                  false});
  }
  ProxiedSumdb reader(web, options.proxies, *options.database);
  auto sum = sumdb::verified_sum(reader, *heads, kModule, want.id.module_version());
  if (!sum) return tl::unexpected(sumdb_failure(want.id, sum.error()));
  return *std::move(sum);
}

/// Downloads one body to a file.
class Download {
 public:
  Download(const FetchOptions& options, WebSession& web, FetchScope& scope, std::string path,
           const std::function<void(std::uint64_t, std::uint64_t)>& progress)
      : options_(options), web_(web), scope_(scope), path_(std::move(path)), progress_(progress) {}

  ProxyOutcome from(const std::string& proxy, const std::string& url) {
    auto answer = web_.open(url);
    if (!answer) return failed(proxy, answer.error().message, answer.error().cancelled);
    if (answer->status == 404 || answer->status == 410) {
      return {ProxyOutcome::Kind::NotHere,
              {"NotFound",
               fmt::format("module proxy {} has no such toolchain (HTTP {})", shown_url(proxy),
                           answer->status),
               false}};
    }
    if (answer->status != 200) {
      return failed(
          proxy,
          fmt::format(
              "it answered HTTP {}{}", answer->status,
              answer->status == 403 ? ", as some do for a release that does not exist" : ""),
          false);
    }
    scope_.enter(answer->body.get());
    ProxyOutcome outcome = copy(proxy, *answer);
    scope_.leave(answer->body.get());
    return outcome;
  }

 private:
  static ProxyOutcome failed(const std::string& proxy, std::string_view why, bool cancelled) {
    if (cancelled) return {ProxyOutcome::Kind::Stop, stopped_failure()};
    return {ProxyOutcome::Kind::Failed,
            {"ProxyUnreachable",
             fmt::format("module proxy {} could not give the toolchain: {}", shown_url(proxy), why),
             true}};
  }

  ProxyOutcome disk(std::string_view doing, int code) {
    return {ProxyOutcome::Kind::Stop, disk_failure(doing, path_, code)};
  }

  ProxyOutcome copy(const std::string& proxy, WebAnswer& answer) {
    const UniqueFd file(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!file) return disk("create", errno);
    std::vector<char> part(kPart);
    std::uint64_t have = 0;
    const std::uint64_t total = answer.length.value_or(0);
    if (total > options_.max_download) return too_large(proxy);
    for (;;) {
      const auto got = answer.body->read(part.data(), part.size(), web_.read_deadline());
      if (!got) {
        return failed(proxy, got.error().message,
                      got.error().kind == kube::TransportError::Kind::Cancelled);
      }
      if (*got == 0) break;
      have += *got;
      if (have > options_.max_download) return too_large(proxy);
      if (const auto error = write_all(file.get(), {part.data(), *got})) {
        return disk("write", error.value());
      }
      progress_(have, total);
    }
    if (answer.length && have != *answer.length) {
      return failed(proxy, fmt::format("it sent {} of {} bytes", have, *answer.length), false);
    }
    return {};
  }

  ProxyOutcome too_large(const std::string& proxy) const {
    return failed(proxy, fmt::format("it sends more than {} bytes", options_.max_download), false);
  }

  const FetchOptions& options_;
  WebSession& web_;
  FetchScope& scope_;
  const std::string path_;
  const std::function<void(std::uint64_t, std::uint64_t)>& progress_;
};

}  // namespace

tl::expected<std::unique_ptr<sumdb::HeadStore>, Failure> open_head_store(
    const std::string& root, const sumdb::VerifierKey& key) {
  const std::string folder = fmt::format("{}/sumdb/{}", root, kube::percent_encode(key.name));
  if (const auto failed = make_folders(folder)) {
    return tl::unexpected(disk_failure(store_error("make folder", folder, failed)));
  }
  auto heads = sumdb::HeadStore::open(folder + "/head", key);
  if (!heads) {
    Failure failure = disk_failure(store_error(heads.error().message, heads.error().code));
    failure.may_pass = static_cast<bool>(heads.error().code);  // a damaged file stays one
    return tl::unexpected(std::move(failure));
  }
  return *std::move(heads);
}

tl::expected<StoredToolchain, Failure> fetch_toolchain(
    const ToolchainWant& want, const ToolchainStore& store, sumdb::HeadStore* heads,
    const FetchOptions& options, FetchStop& stop,
    const std::function<void(std::uint64_t bytes, std::uint64_t total)>& progress,
    std::int64_t now) {
  WebSession web(options.web);
  FetchScope scope(stop, web);
  const auto sum = wanted_sum(want, heads, options, web);
  if (stop.stopped()) return tl::unexpected(stopped_failure());
  if (!sum) return tl::unexpected(sum.error());
  step(options.hook, "sum");

  auto incoming = store.begin();
  if (!incoming) return tl::unexpected(disk_failure(incoming.error()));
  Download download(options, web, scope, incoming->archive(), progress);
  std::string source;
  const auto failure = try_proxies(options.proxies, [&](const std::string& proxy) {
    source = proxy;
    std::string base = proxy;
    while (base.ends_with('/')) base.pop_back();
    return download.from(proxy,
                         fmt::format("{}/{}/@v/{}.zip", base, kModule, want.id.module_version()));
  });
  if (failure) {
    return tl::unexpected(Failure{failure->reason,
                                  fmt::format("{}: {}", want.id.name(), failure->message),
                                  failure->may_pass});
  }
  step(options.hook, "downloaded");

  ExtractOptions extract = options.extract;
  extract.stopped = [&stop] { return stop.stopped(); };
  const auto extracted =
      extract_toolchain(incoming->archive(), want.id, incoming->goroot(), extract);
  if (!extracted) {
    switch (extracted.error().kind) {
      case ExtractError::Kind::Stopped:
        return tl::unexpected(stopped_failure());
      case ExtractError::Kind::Disk:
        return tl::unexpected(disk_failure(store_error(
            extracted.error().message, {extracted.error().code, std::generic_category()})));
      case ExtractError::Kind::Archive:
        break;
    }
    return tl::unexpected(Failure{"BadArchive",
                                  fmt::format("{} from module proxy {}: {}", want.id.name(),
                                              shown_url(source), extracted.error().message),
                                  false});
  }
  if (extracted->h1 != *sum) {
    return tl::unexpected(Failure{
        "SumMismatch",
        fmt::format("{} from module proxy {} has sum {} instead of {} ({}): it is not used; "
                    "either the proxy was tampered with or {}",
                    want.id.name(), shown_url(source), extracted->h1, *sum,
                    want.pinned ? "pinned in the spec" : "signed by the checksum database",
                    want.pinned ? "the pinned sum is for another file"
                                : "the download was damaged on the way"),
        false});
  }
  step(options.hook, "extracted");
  auto stored =
      store.publish(*std::move(incoming), want.id, want.pinned ? want.pinned->namespace_uid : "",
                    {extracted->h1, extracted->bytes, extracted->files,
                     std::max<std::int64_t>(now, 0), shown_url(source)});
  if (!stored) return tl::unexpected(disk_failure(stored.error()));
  return *std::move(stored);
}

}  // namespace gobuildenv::agent
