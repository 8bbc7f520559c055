#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <list>
#include <mutex>
#include <utility>

#include "kube/exchange.hpp"
#include "kube/transports.hpp"

namespace gobuildenv::kube {
namespace {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using Kind = TransportError::Kind;

class PooledTransport final : public Transport {
 public:
  explicit PooledTransport(TransportOptions options) : options_(std::move(options)) {}

  tl::expected<HttpResponse, TransportError> send(const HttpRequest& request) override {
    auto opening = begin_exchange(options_, request);
    if (!opening) {
      return tl::unexpected(opening.error());
    }
    auto connection = take_idle(opening->tls.generation);
    if (connection) {
      connection->set_cancel(request.cancel);
      bool untouched = true;
      auto answer = exchange(connection, opening->bytes, request, untouched);
      const bool again = !answer && untouched && answer.error().kind == Kind::Closed &&
                         request.method == Method::Get;
      if (!again) {
        return answer;
      }
    }
    auto fresh =
        Connection::open(options_.endpoint, opening->tls, request.deadline, request.cancel);
    if (!fresh) {
      return tl::unexpected(fresh.error());
    }
    connection = *std::move(fresh);
    bool untouched = true;
    return exchange(connection, opening->bytes, request, untouched);
  }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    Clock::time_point since;
  };

  /// The connection used last that still works; the others that do not are closed outside the lock.
  std::unique_ptr<Connection> take_idle(std::uint64_t generation) {
    const auto oldest = Clock::now() - options_.max_idle_age;
    std::list<Idle> closing;
    for (;;) {
      std::list<Idle> taken;
      {
        const std::lock_guard lock(mutex_);
        while (!idle_.empty() && (idle_.front().since < oldest ||
                                  idle_.front().connection->generation() != generation)) {
          closing.splice(closing.end(), idle_, idle_.begin());
        }
        if (idle_.empty()) {
          return nullptr;
        }
        taken.splice(taken.end(), idle_, std::prev(idle_.end()));
      }
      Connection& candidate = *taken.front().connection;
      if (candidate.generation() == generation && candidate.usable()) {
        return std::move(taken.front().connection);
      }
    }
  }

  void put_back(std::unique_ptr<Connection> connection) {
    connection->set_cancel(nullptr);
    std::list<Idle> closing;
    const std::lock_guard lock(mutex_);
    idle_.push_back({std::move(connection), Clock::now()});
    if (idle_.size() > options_.max_idle) {
      closing.splice(closing.end(), idle_, idle_.begin());
    }
  }

  /// `untouched` becomes false with the answer's first byte.
  tl::expected<HttpResponse, TransportError> exchange(std::unique_ptr<Connection>& connection,
                                                      std::string_view bytes,
                                                      const HttpRequest& request, bool& untouched) {
    constexpr std::size_t kChunk = 16384;
    const Deadline deadline = request.deadline;
    if (request.may_send && !request.may_send()) {
      return tl::unexpected(TransportError{Kind::Cancelled, "not allowed to send any more"});
    }
    if (auto sent = connection->write_all(bytes, deadline); !sent) {
      return tl::unexpected(sent.error());
    }
    http::response_parser<http::string_body> parser;
    // Not eager: Beast 1.74 then forgets the limit's error and allocates what Content-Length says.
    parser.body_limit(options_.max_response);
    parser.get().body().reserve(std::min(request.expected_body, options_.max_response));
    boost::beast::flat_buffer buffer;
    while (!parser.is_done()) {
      const auto space = buffer.prepare(kChunk);
      auto got = connection->read_some(static_cast<char*>(space.data()), space.size(), deadline);
      if (!got) {
        return tl::unexpected(got.error());
      }
      boost::system::error_code code;
      if (*got == 0) {
        if (!parser.got_some()) {
          return tl::unexpected(closed_unanswered());
        }
        parser.put_eof(code);
        if (code) {
          return tl::unexpected(closed_midway());
        }
        break;
      }
      untouched = false;
      buffer.commit(*got);
      while (buffer.size() > 0 && !parser.is_done()) {
        const std::size_t used = parser.put(buffer.data(), code);
        buffer.consume(used);
        if (code) {
          break;
        }
      }
      if (code == http::error::body_limit) {
        return tl::unexpected(TransportError{
            Kind::TooLarge,
            fmt::format("the answer is larger than {} bytes", options_.max_response)});
      }
      if (code && code != http::error::need_more) {
        return tl::unexpected(not_http(code.message()));
      }
    }
    auto response = head_of<HttpResponse>(parser.get());
    response.body = std::move(parser.get().body());
    // Bytes after the answer belong to nobody: such a connection is not used again.
    if (parser.keep_alive() && buffer.size() == 0) {
      put_back(std::move(connection));
    }
    return response;
  }

  TransportOptions options_;
  std::mutex mutex_;
  std::list<Idle> idle_;  ///< oldest first
};

}  // namespace

std::unique_ptr<Transport> make_pooled_transport(TransportOptions options) {
  return std::make_unique<PooledTransport>(std::move(options));
}

}  // namespace gobuildenv::kube
