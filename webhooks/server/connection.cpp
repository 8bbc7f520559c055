#include "webhooks/server/connection.hpp"

#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>

namespace gobuildenv::webhooks::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

/// Holds a review of usual size with its header, and TLS' largest record.
constexpr std::size_t kReadSize = std::size_t{16} << 10;
constexpr std::chrono::seconds kLinger{2};
constexpr std::string_view kOtherPath = "other";

std::string json_error(std::string_view message) {
  return "{\"error\":\"" + std::string(message) + "\"}\n";
}

/// Peers that end without a word, or whose bytes make no sense, are not worth a log line each.
bool is_plain_end(const boost::system::error_code& error) {
  return error == asio::error::eof || error == asio::ssl::error::stream_truncated ||
         error == asio::error::operation_aborted || error == asio::error::connection_reset;
}

int status_for(const boost::system::error_code& error) {
  if (error == http::error::body_limit) return 413;
  if (error == http::error::header_limit) return 431;
  return 400;
}

}  // namespace

Connection::Connection(Socket socket, TlsContext tls, Shared& shared)
    : shared_(shared), tls_(std::move(tls)), stream_(std::move(socket), *tls_) {
  shared_.connections.fetch_add(1, std::memory_order_relaxed);
}

Connection::~Connection() { shared_.connections.fetch_sub(1, std::memory_order_relaxed); }

void Connection::enter(Stage stage, std::chrono::milliseconds timeout) {
  stage_ = stage;
  deadline_ = Clock::now() + timeout;
}

void Connection::start() {
  boost::system::error_code ignored;
  stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
  enter(Stage::Handshake, shared_.options.handshake_timeout);
  stream_.async_handshake(asio::ssl::stream_base::server,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            if (error) return self->fail("handshake", error);
                            self->begin_request();
                          });
}

void Connection::begin_request() {
  parser_.emplace();
  parser_->eager(true);
  parser_->header_limit(static_cast<std::uint32_t>(shared_.options.max_header));
  parser_->body_limit(shared_.options.max_body);
  continued_ = false;
  if (buffer_.size() > 0) {
    enter(Stage::Header, shared_.options.header_timeout);
    return parse();
  }
  // One large review must not keep its memory for as long as the connection lives.
  if (buffer_.capacity() > 4 * kReadSize) buffer_.shrink_to_fit();
  enter(Stage::Idle, shared_.options.idle_timeout);
  read();
}

void Connection::read() {
  stream_.async_read_some(
      buffer_.prepare(kReadSize),
      [self = shared_from_this()](const boost::system::error_code& error, std::size_t size) {
        self->on_read(error, size);
      });
}

void Connection::on_read(const boost::system::error_code& error, std::size_t size) {
  if (stage_ == Stage::Closed) return;
  if (error) {
    if (stage_ == Stage::Idle || stage_ == Stage::Linger) return close();
    return fail("read", error);
  }
  if (stage_ == Stage::Linger) return;
  buffer_.commit(size);
  if (stage_ == Stage::Idle) enter(Stage::Header, shared_.options.header_timeout);
  parse();
}

void Connection::parse() {
  boost::system::error_code error;
  while (buffer_.size() > 0 && !parser_->is_done()) {
    const std::size_t used = parser_->put(buffer_.data(), error);
    buffer_.consume(used);
    if (error == http::error::need_more) {
      error = {};
      break;
    }
    if (error) return refuse(status_for(error), error.message());
    if (used == 0) break;
  }
  if (parser_->is_done()) return handle();
  if (parser_->is_header_done() && stage_ == Stage::Header) {
    enter(Stage::Body, shared_.options.body_timeout);
  }
  if (parser_->is_header_done() && !continued_ &&
      http::token_list{parser_->get()[http::field::expect]}.exists("100-continue")) {
    continued_ = true;
    out_ = "HTTP/1.1 100 Continue\r\n\r\n";
    return asio::async_write(
        stream_, asio::buffer(out_),
        [self = shared_from_this()](const boost::system::error_code& failure, std::size_t) {
          if (failure) return self->fail("write", failure);
          self->read();
        });
  }
  read();
}

Answer Connection::answer(const Handler* handler) {
  const auto& request = parser_->get();
  if (handler == nullptr) return {404, json_error("no such path")};
  if (request.method() != http::verb::post) return {405, json_error("only POST is answered")};
  const std::string_view type = request[http::field::content_type];
  if (type.substr(0, 16) != "application/json") {
    return {415, json_error("Content-Type must be application/json")};
  }
  try {
    return (*handler)(request.body());
  } catch (const std::exception&) {
    return {500, json_error("internal error")};
  }
}

void Connection::handle() {
  const auto began = Clock::now();
  std::string_view target = parser_->get().target();
  target = target.substr(0, target.find('?'));  // the API server adds ?timeout=2s
  const auto found = shared_.routes.find(target);
  const bool known = found != shared_.routes.end();
  // Paths of a client's invention must not become metric labels.
  const std::string_view label = known ? std::string_view(found->first) : kOtherPath;
  if (shared_.observer != nullptr) shared_.observer->started(label);
  const Answer response = answer(known ? &found->second : nullptr);
  const bool keep_alive =
      parser_->get().keep_alive() && !shared_.draining.load(std::memory_order_relaxed);
  // Before the answer leaves: who has it must find it counted.
  if (shared_.observer != nullptr) {
    shared_.observer->finished(label, response.status, Clock::now() - began);
  }
  send(response, keep_alive);
}

void Connection::refuse(int status, std::string_view message) {
  if (shared_.observer != nullptr) {
    shared_.observer->started(kOtherPath);
    shared_.observer->finished(kOtherPath, status, {});
  }
  send({status, json_error(message)}, false);
}

void Connection::send(const Answer& answer, bool keep_alive) {
  enter(Stage::Write, shared_.options.write_timeout);
  const auto reason = http::obsolete_reason(static_cast<http::status>(answer.status));
  out_.clear();
  out_ += "HTTP/1.1 ";
  out_ += std::to_string(answer.status);
  out_ += ' ';
  out_.append(reason.data(), reason.size());
  out_ += "\r\nContent-Type: ";
  out_ += answer.content_type;
  out_ += "\r\nContent-Length: ";
  out_ += std::to_string(answer.body.size());
  if (!keep_alive) out_ += "\r\nConnection: close";
  out_ += "\r\n\r\n";
  out_ += answer.body;
  asio::async_write(
      stream_, asio::buffer(out_),
      [self = shared_from_this(), keep_alive](const boost::system::error_code& error, std::size_t) {
        self->on_sent(error, keep_alive);
      });
}

void Connection::on_sent(const boost::system::error_code& error, bool keep_alive) {
  if (stage_ == Stage::Closed) return;
  if (error) return fail("write", error);
  if (keep_alive) return begin_request();
  linger();
}

void Connection::linger() {
  enter(Stage::Linger, kLinger);
  stream_.async_shutdown([self = shared_from_this()](const boost::system::error_code&) {
    if (self->stage_ == Stage::Closed) return;
    boost::system::error_code ignored;
    self->stream_.next_layer().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    self->discard();
  });
}

void Connection::discard() {
  buffer_.clear();
  stream_.next_layer().async_read_some(
      buffer_.prepare(kReadSize),
      [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
        if (error || self->stage_ == Stage::Closed) return self->close();
        self->discard();
      });
}

void Connection::close() {
  if (stage_ == Stage::Closed) return;
  stage_ = Stage::Closed;
  boost::system::error_code ignored;
  stream_.next_layer().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.next_layer().close(ignored);
}

void Connection::fail(std::string_view stage, const boost::system::error_code& error) {
  if (stage_ != Stage::Closed && shared_.observer != nullptr && !is_plain_end(error)) {
    shared_.observer->failed(stage, error.message());
  }
  close();
}

void Connection::sweep(Clock::time_point now) {
  if (stage_ == Stage::Closed || now < deadline_) return;
  const bool expected = stage_ == Stage::Idle || stage_ == Stage::Linger;
  if (!expected && shared_.observer != nullptr) {
    shared_.observer->failed("timeout", stage_ == Stage::Handshake ? "handshake"
                                        : stage_ == Stage::Header  ? "header"
                                        : stage_ == Stage::Body    ? "body"
                                                                   : "write");
  }
  close();
}

void Connection::drain() {
  if (stage_ == Stage::Idle) linger();
}

}  // namespace gobuildenv::webhooks::server
