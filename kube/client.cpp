#include "kube/client.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "kube/make_client.hpp"
#include "kube/request_builder.hpp"
#include "kube/retry_policy.hpp"
#include "kube/status_error.hpp"

namespace gobuildenv::kube {
namespace {

using Kind = Error::Kind;

Error make_error(Kind kind, std::string message) {
  Error error;
  error.kind = kind;
  error.message = std::move(message);
  return error;
}

bool succeeded(int status) { return status >= 200 && status < 300; }

/// The body of an answer that is not a watch: bounded, it only says what is wrong.
std::string read_error_body(ByteStream& stream, Deadline deadline) {
  constexpr std::size_t kMost = 65536;
  std::string body(kMost, '\0');
  std::size_t size = 0;
  while (size < kMost) {
    auto got = stream.read(body.data() + size, kMost - size, deadline);
    if (!got || *got == 0) {
      break;
    }
    size += *got;
  }
  body.resize(size);
  return body;
}

class HttpClient final : public Client {
 public:
  HttpClient(ClientParts parts, ClientOptions options)
      : parts_(std::move(parts)), options_(std::move(options)) {}

  Result get(const ResourceType& type, const ObjectKey& key, Deadline deadline) override {
    return body_of(run(build_get(type, key), deadline));
  }

  tl::expected<ListPage, Error> list(const ResourceType& type, const ListOptions& options,
                                     Deadline deadline) override {
    return body_of(run(build_list(type, options), deadline)).map([](std::string body) {
      return ListPage{std::move(body)};
    });
  }

  Result create(const ResourceType& type, const std::string& ns, std::string_view json,
                Deadline deadline) override {
    return body_of(run(build_create(type, ns, json), deadline));
  }

  Result create_for_metadata(const ResourceType& type, const std::string& ns, std::string_view json,
                             Deadline deadline) override {
    return body_of(run(build_create(type, ns, json, WriteAnswer::Metadata), deadline));
  }

  Result update(const ResourceType& type, const ObjectKey& key, std::string_view json,
                const std::string& subresource, Deadline deadline) override {
    return body_of(run(build_update(type, key, json, subresource), deadline));
  }

  Result apply(const ResourceType& type, const ObjectKey& key, std::string_view json,
               const ApplyOptions& options, Deadline deadline) override {
    return body_of(run(build_apply(type, key, json, options), deadline));
  }

  Result patch(const ResourceType& type, const ObjectKey& key, std::string_view body,
               const std::string& content_type, const std::string& subresource,
               Deadline deadline) override {
    return body_of(run(build_patch(type, key, body, content_type, subresource), deadline));
  }

  tl::expected<void, Error> remove(const ResourceType& type, const ObjectKey& key,
                                   const DeleteOptions& options, Deadline deadline) override {
    return run(build_remove(type, key, options), deadline).map([](const HttpResponse&) {});
  }

  Result get_raw(const std::string& target, Deadline deadline) override {
    HttpRequest request;
    request.target = target;
    request.headers = {{"Accept", "application/json, */*"}};
    return body_of(run(std::move(request), deadline));
  }

  tl::expected<std::unique_ptr<ByteStream>, Error> watch(const ResourceType& type,
                                                         const WatchOptions& options) override {
    Built built = build_watch(type, options);
    if (!built) {
      return tl::unexpected(built.error());
    }
    const Deadline deadline = options_.clock->now() + options_.watch_open_timeout;
    for (bool retried = false;; retried = true) {
      if (stopped()) {
        return tl::unexpected(stopping());
      }
      HttpRequest request = *built;
      auto generation = prepare(request, deadline);
      if (!generation) {
        return tl::unexpected(generation.error());
      }
      auto opened = parts_.streams->open(request);
      count(opened ? opened->status : 0, Method::Get);
      if (!opened) {
        return tl::unexpected(error_from_transport(opened.error()));
      }
      if (opened->status == 200) {
        return std::move(opened->body);
      }
      if (opened->status == 401 && !retried && parts_.credentials &&
          parts_.credentials->refresh(*generation, deadline)) {
        continue;
      }
      HttpResponse refusal{opened->status, std::move(opened->headers),
                           read_error_body(*opened->body, deadline)};
      return tl::unexpected(error_from_response(refusal));
    }
  }

 private:
  using Answer = tl::expected<HttpResponse, Error>;

  static Result body_of(Answer answer) {
    return std::move(answer).map([](HttpResponse response) { return std::move(response.body); });
  }

  static Error stopping() { return make_error(Kind::ShuttingDown, "stopping"); }
  bool stopped() const { return options_.stop != nullptr && options_.stop->stopped(); }
  /// False when it was ended by a stop.
  bool sleep(Clock::Duration duration) const {
    if (options_.stop != nullptr) {
      return options_.stop->sleep(*options_.clock, duration);
    }
    StopSignal never;
    return never.sleep(*options_.clock, duration);
  }

  void count(int status, Method method) const {
    if (options_.count) {
      options_.count(status == 0 ? "<error>" : std::to_string(status),
                     std::string(method_name(method)), parts_.host);
    }
  }

  /// Adds what every request carries; gives the generation of the credentials used.
  tl::expected<std::uint64_t, Error> prepare(HttpRequest& request, Deadline deadline) const {
    request.target.insert(0, parts_.base_path);
    request.deadline = deadline;
    request.cancel = options_.stop == nullptr ? nullptr : &options_.stop->signal();
    request.headers.emplace_back("User-Agent", options_.user_agent);
    if (!parts_.credentials) {
      return std::uint64_t{0};
    }
    auto auth = parts_.credentials->headers(deadline);
    if (!auth) {
      return tl::unexpected(make_error(Kind::Retry, auth.error().text()));
    }
    request.headers.insert(request.headers.end(), auth->headers.begin(), auth->headers.end());
    return auth->generation;
  }

  /// Sends until it is answered for good, out of tries, or out of time.
  Answer run(Built built, Deadline deadline) const {
    if (!built) {
      return tl::unexpected(built.error());
    }
    const Method method = built->method;
    bool refreshed = false;
    for (int tries = 1;; ++tries) {
      if (stopped()) {
        return tl::unexpected(stopping());
      }
      HttpRequest request = *built;
      auto generation = prepare(request, deadline);
      if (!generation) {
        return tl::unexpected(generation.error());
      }
      if (method != Method::Get && options_.fence) {
        if (!options_.fence()) {
          return tl::unexpected(
              make_error(Kind::ShuttingDown, "the lease is not ours any more; nothing was sent"));
        }
        // And again once a connection is there, which may take as long as the deadline allows.
        request.may_send = options_.fence;
      }
      auto answer = parts_.transport->send(request);
      count(answer ? answer->status : 0, method);
      if (answer && succeeded(answer->status)) {
        return *std::move(answer);
      }
      if (answer && answer->status == 401 && !refreshed && parts_.credentials) {
        refreshed = true;
        if (parts_.credentials->refresh(*generation, deadline)) {
          continue;
        }
      }
      Error error = answer ? error_from_response(*answer) : error_from_transport(answer.error());
      const auto wait =
          retry_after_failure({tries, method, &error, options_.random ? options_.random() : 0.0});
      if (!wait || options_.clock->now() + *wait >= deadline) {
        return tl::unexpected(std::move(error));
      }
      if (!sleep(*wait)) {
        return tl::unexpected(stopping());
      }
    }
  }

  ClientParts parts_;
  ClientOptions options_;
};

}  // namespace

std::unique_ptr<Client> make_client(ClientParts parts, ClientOptions options) {
  return std::make_unique<HttpClient>(std::move(parts), std::move(options));
}

}  // namespace gobuildenv::kube
