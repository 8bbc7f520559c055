#include <algorithm>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstdint>
#include <limits>
#include <utility>

#include "kube/exchange.hpp"
#include "kube/transports.hpp"

namespace gobuildenv::kube {
namespace {

namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using Kind = TransportError::Kind;

constexpr std::size_t kChunk = 16384;

/// The body of one answer, decoded from chunks as they arrive.
class BeastStream final : public ByteStream {
 public:
  // A watch has no length. boost::none counts as "limit exceeded" in Beast 1.74.
  BeastStream() { parser_.body_limit(std::numeric_limits<std::uint64_t>::max()); }

  /// Connects, sends, and reads up to the end of the head.
  tl::expected<StreamResponse, TransportError> open(const Endpoint& endpoint,
                                                    const Opening& opening,
                                                    const HttpRequest& request) {
    const Deadline deadline = request.deadline;
    auto opened = Connection::open(endpoint, opening.tls, deadline, request.cancel);
    if (!opened) {
      return tl::unexpected(opened.error());
    }
    connection_ = *std::move(opened);
    if (auto sent = connection_->write_all(opening.bytes, deadline); !sent) {
      return tl::unexpected(sent.error());
    }
    while (!parser_.is_header_done()) {
      auto got = fill(deadline);
      if (!got) {
        return tl::unexpected(got.error());
      }
      if (*got == 0) {
        return tl::unexpected(closed_unanswered());
      }
      if (auto parsed = parse(); !parsed) {
        return tl::unexpected(parsed.error());
      }
    }
    // From here on the reader has cancel(), and the request's signal may be gone.
    connection_->set_cancel(&cancel_);
    return head_of<StreamResponse>(parser_.get());
  }

  tl::expected<std::size_t, TransportError> read(char* buffer, std::size_t size,
                                                 Deadline idle) override {
    if (size == 0) {
      return std::size_t{0};
    }
    auto& body = parser_.get().body();
    for (;;) {
      if (cancel_.raised()) {
        return tl::unexpected(TransportError{Kind::Cancelled, "stopped"});
      }
      if (parser_.is_done()) {
        return std::size_t{0};
      }
      body.data = buffer;
      body.size = size;
      body.more = true;
      auto parsed = parse();
      const std::size_t given = size - body.size;
      body.data = nullptr;
      body.size = 0;
      if (given > 0) {
        return given;
      }
      if (!parsed) {
        return tl::unexpected(parsed.error());
      }
      if (parser_.is_done()) {
        return std::size_t{0};
      }
      auto got = fill(idle);
      if (!got) {
        return tl::unexpected(got.error());
      }
      if (*got == 0) {
        boost::system::error_code code;
        parser_.put_eof(code);
        if (code) {
          return tl::unexpected(closed_midway());
        }
        return std::size_t{0};
      }
    }
  }

  void cancel() noexcept override { cancel_.raise(); }

 private:
  tl::expected<std::size_t, TransportError> fill(Deadline deadline) {
    const auto space = buffer_.prepare(kChunk);
    auto got = connection_->read_some(static_cast<char*>(space.data()), space.size(), deadline);
    if (got) {
      buffer_.commit(*got);
    }
    return got;
  }

  /// Hands what is buffered to the parser until it has had enough, or fills the reader's buffer.
  tl::expected<void, TransportError> parse() {
    while (buffer_.size() > 0 && !parser_.is_done()) {
      boost::system::error_code code;
      const bool was_header = !parser_.is_header_done();
      const std::size_t used = parser_.put(buffer_.data(), code);
      buffer_.consume(used);
      if (code == http::error::need_more || code == http::error::need_buffer) {
        return {};
      }
      if (code) {
        return tl::unexpected(not_http(code.message()));
      }
      if ((was_header && parser_.is_header_done()) || used == 0) {
        return {};
      }
    }
    return {};
  }

  CancelSignal cancel_;
  std::unique_ptr<Connection> connection_;
  http::response_parser<http::buffer_body> parser_;
  boost::beast::flat_buffer buffer_;
};

class BeastStreamTransport final : public StreamTransport {
 public:
  explicit BeastStreamTransport(TransportOptions options) : options_(std::move(options)) {}

  tl::expected<StreamResponse, TransportError> open(const HttpRequest& request) override {
    const auto opening = begin_exchange(options_, request);
    if (!opening) {
      return tl::unexpected(opening.error());
    }
    auto stream = std::make_unique<BeastStream>();
    auto response = stream->open(options_.endpoint, *opening, request);
    if (response) {
      response->body = std::move(stream);
    }
    return response;
  }

 private:
  TransportOptions options_;
};

}  // namespace

std::unique_ptr<StreamTransport> make_stream_transport(TransportOptions options) {
  return std::make_unique<BeastStreamTransport>(std::move(options));
}

}  // namespace gobuildenv::kube
