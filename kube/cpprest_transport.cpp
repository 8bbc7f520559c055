// The only file that includes cpprestsdk (it compiles in 15 s, and its headers define a macro U).
#include <cpprest/http_client.h>
#include <fmt/format.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>

#include <boost/asio/ssl/context.hpp>
#include <future>
#include <mutex>
#include <utility>
#include <vector>

#include "kube/cancel_signal.hpp"
#include "kube/web_transport.hpp"

namespace gobuildenv::kube {
namespace {

namespace rest = web::http;
using Clock = std::chrono::steady_clock;
using Kind = TransportError::Kind;
using Outcome = tl::expected<HttpResponse, TransportError>;

constexpr std::size_t kThreads = 4;  // the library's default is 40
constexpr std::size_t kChunk = 65536;

tl::unexpected<TransportError> fail(Kind kind, std::string message) {
  return tl::unexpected(TransportError{kind, std::move(message)});
}

void limit_threads() {
  static std::once_flag once;
  std::call_once(once, [] {
    try {
      crossplat::threadpool::initialize_with_threads(kThreads);
    } catch (const std::exception&) {
      // Started before, by the program itself: its size is that of its choice.
    }
  });
}

/// One exchange. The library's tasks keep it alive when the caller has given up at the deadline.
struct Exchange {
  explicit Exchange(std::size_t limit) : max_response(limit) {}
  const std::size_t max_response;
  pplx::cancellation_token_source cancel;
  std::promise<Outcome> promise;
  CancelSignal done;  ///< the promise is kept
  HttpResponse response;
  std::vector<std::uint8_t> chunk = std::vector<std::uint8_t>(kChunk);
  rest::http_response answer;
};

void read_body(const std::shared_ptr<Exchange>& exchange);

void finish(const std::shared_ptr<Exchange>& exchange, Outcome outcome) {
  try {
    exchange->promise.set_value(std::move(outcome));
    exchange->done.raise();
  } catch (const std::future_error&) {
    // Finished before: the first outcome stands.
  }
}

/// Runs `step` and turns what the library throws into an error. Every task's exception is looked
/// at: one that is not terminates the process.
template <class Step>
void guarded(const std::shared_ptr<Exchange>& exchange, Step step) {
  try {
    step();
  } catch (const pplx::task_canceled&) {
    finish(exchange, fail(Kind::Timeout, "no answer in time"));
  } catch (const rest::http_exception& error) {
    const auto code = error.error_code();
    const bool timeout = code == std::errc::timed_out;
    finish(exchange, fail(timeout ? Kind::Timeout : Kind::Connect, error.what()));
  } catch (const std::exception& error) {
    finish(exchange, fail(Kind::Protocol, error.what()));
  }
}

void read_body(const std::shared_ptr<Exchange>& exchange) {
  exchange->answer.body()
      .streambuf()
      .getn(exchange->chunk.data(), kChunk)
      .then([exchange](const pplx::task<std::size_t>& done) {
        guarded(exchange, [&] {
          const std::size_t got = done.get();
          if (got == 0) {
            finish(exchange, std::move(exchange->response));
            return;
          }
          exchange->response.body.append(exchange->chunk.begin(),
                                         exchange->chunk.begin() + static_cast<long>(got));
          if (exchange->response.body.size() > exchange->max_response) {
            exchange->cancel.cancel();
            finish(exchange, fail(Kind::TooLarge, fmt::format("the answer is larger than {} bytes",
                                                              exchange->max_response)));
            return;
          }
          read_body(exchange);
        });
      });
}

rest::method method_of(Method method) { return rest::method(std::string(method_name(method))); }

class CpprestTransport final : public Transport {
 public:
  explicit CpprestTransport(WebOptions options) : options_(std::move(options)) {}

  Outcome send(const HttpRequest& request) override {
    if (request.cancel != nullptr && request.cancel->raised()) {
      return fail(Kind::Cancelled, "stopped");
    }
    std::shared_ptr<rest::client::http_client> client;
    std::shared_ptr<Exchange> exchange;
    try {
      client = connect();
      exchange = std::make_shared<Exchange>(options_.max_response);
    } catch (const std::exception& error) {
      return fail(Kind::Connect, error.what());
    }
    auto future = exchange->promise.get_future();
    guarded(exchange, [&] {
      rest::http_request message(method_of(request.method));
      message.set_request_uri(web::uri(request.target));
      message.headers().add("User-Agent", options_.user_agent);
      for (const auto& [name, value] : request.headers) {
        message.headers().add(name, value);
      }
      if (!request.body.empty()) {
        const auto type = header_value(request.headers, "Content-Type");
        message.set_body(request.body, type.empty() ? "application/json" : std::string(type));
      }
      client->request(message, exchange->cancel.get_token())
          .then([exchange](const pplx::task<rest::http_response>& done) {
            guarded(exchange, [&] {
              exchange->answer = done.get();
              exchange->response.status = exchange->answer.status_code();
              for (const auto& [name, value] : exchange->answer.headers()) {
                exchange->response.headers.emplace_back(name, value);
              }
              read_body(exchange);
            });
          });
    });
    // The library's own timeout is per operation: a peer that drips would never reach it.
    const auto waited = wait_for(exchange->done, request.cancel, request.deadline);
    if (waited == Waited::Done) {
      return future.get();
    }
    exchange->cancel.cancel();
    return waited == Waited::Cancelled ? fail(Kind::Cancelled, "stopped")
                                       : fail(Kind::Timeout, "no answer in time");
  }

 private:
  std::shared_ptr<rest::client::http_client> connect() {
    const std::lock_guard lock(mutex_);
    if (client_) {
      return client_;
    }
    limit_threads();
    rest::client::http_client_config config;
    config.set_timeout(std::chrono::seconds(30));
    if (!options_.proxy_url.empty()) {
      const web::uri uri(options_.proxy_url);
      web::web_proxy proxy(web::uri_builder(uri).set_user_info("").to_uri());
      if (const std::string& user = uri.user_info(); !user.empty()) {
        const auto colon = user.find(':');
        proxy.set_credentials(web::credentials(
            web::uri::decode(user.substr(0, colon)),
            colon == std::string::npos ? "" : web::uri::decode(user.substr(colon + 1))));
      }
      config.set_proxy(proxy);
    }
    config.set_ssl_context_callback(
        [ca = options_.extra_ca, system = options_.system_trust](boost::asio::ssl::context& ctx) {
          SSL_CTX_set_min_proto_version(ctx.native_handle(), TLS1_2_VERSION);
          if (!system) {
            SSL_CTX_set_cert_store(ctx.native_handle(), X509_STORE_new());
          }
          if (!ca.empty()) {
            ctx.add_certificate_authority(boost::asio::buffer(ca));
          }
        });
    client_ = std::make_shared<rest::client::http_client>(web::uri(options_.base_url), config);
    return client_;
  }

  WebOptions options_;
  std::mutex mutex_;
  std::shared_ptr<rest::client::http_client> client_;
};

}  // namespace

std::unique_ptr<Transport> make_web_transport(WebOptions options) {
  return std::make_unique<CpprestTransport>(std::move(options));
}

}  // namespace gobuildenv::kube
