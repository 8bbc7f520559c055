#include "kube/http_server.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <thread>
#include <utility>

namespace gobuildenv::kube {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr std::uint32_t kMaxHeaderBytes = 8 * 1024;
constexpr std::chrono::seconds kRequestTimeout{10};
constexpr std::chrono::seconds kIdleTimeout{90};

/// One connection: read, answer, again. It owns itself through the handlers in flight.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, const HttpServer::Handler& handler, int& open_connections)
      : stream_(std::move(socket)), handler_(handler), open_connections_(open_connections) {
    ++open_connections_;
  }
  ~Session() { --open_connections_; }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read(std::chrono::seconds timeout) {
    parser_.emplace();
    parser_->header_limit(kMaxHeaderBytes);
    parser_->body_limit(0);
    stream_.expires_after(timeout);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
  }

 private:
  void on_read(beast::error_code error) {
    if (error == http::error::header_limit) {
      return answer({431, "text/plain; charset=utf-8", "headers of more than 8 KiB\n"}, false);
    }
    if (error == http::error::body_limit) {
      return answer({413, "text/plain; charset=utf-8", "no body is read here\n"}, false);
    }
    if (error) return;  // gone, or too slow: the socket closes with this object
    const auto& request = parser_->get();
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      return answer({405, "text/plain; charset=utf-8", "only GET and HEAD\n"},
                    request.keep_alive());
    }
    HttpAnswer result;
    try {
      result = handler_(std::string_view(request.target().data(), request.target().size()));
    } catch (const std::exception& failure) {
      spdlog::error("probe handler failed error={}", failure.what());
      result = {500, "text/plain; charset=utf-8", "internal error\n"};
    }
    answer(std::move(result), request.keep_alive());
  }

  void answer(HttpAnswer result, bool keep_alive) {
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(result.status));
    response_.set(http::field::content_type, result.content_type);
    response_.set(http::field::cache_control, "no-cache, no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.keep_alive(keep_alive);
    const bool head = parser_->is_header_done() && parser_->get().method() == http::verb::head;
    response_.content_length(result.body.size());
    if (!head) response_.body() = std::move(result.body);
    stream_.expires_after(kRequestTimeout);
    http::async_write(
        stream_, response_,
        [self = shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
          if (!error && keep_alive) {
            self->read(kIdleTimeout);
          } else {
            beast::error_code ignored;
            self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
          }
        });
  }

  beast::tcp_stream stream_;
  const HttpServer::Handler& handler_;
  int& open_connections_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

struct HttpServer::Impl {
  Handler handler;
  int max_connections = 0;
  int open_connections = 0;  ///< outlives `io`, whose destruction ends the sessions
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  std::thread thread;

  void accept() {
    acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error && open_connections < max_connections) {
        std::make_shared<Session>(std::move(socket), handler, open_connections)
            ->read(kRequestTimeout);
      }
      accept();
    });
  }
};

tl::expected<std::unique_ptr<HttpServer>, std::string> HttpServer::start(
    const HttpServerOptions& options, Handler handler) {
  auto impl = std::make_unique<Impl>();
  impl->handler = std::move(handler);
  impl->max_connections = options.max_connections;
  beast::error_code error;
  const auto address = asio::ip::make_address(options.address, error);
  if (error) {
    return tl::unexpected(
        fmt::format("probe address {:?} is not an IP address; give one such as "
                    "0.0.0.0 or ::",
                    options.address));
  }
  const tcp::endpoint endpoint(address, options.port);
  auto& acceptor = impl->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return tl::unexpected(fmt::format("cannot listen on {} port {}: {}", options.address,
                                      options.port, error.message()));
  }
  impl->accept();
  impl->thread = std::thread([raw = impl.get()] { raw->io.run(); });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->io.stop();
  impl_->thread.join();
}

std::uint16_t HttpServer::port() const { return impl_->acceptor.local_endpoint().port(); }

}  // namespace gobuildenv::kube
