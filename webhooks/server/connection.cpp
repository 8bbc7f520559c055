#include "webhooks/server/connection.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
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
    : shared_(shared),
      tls_(std::move(tls)),
      socket_(std::move(socket)),
      stream_(tls_->native_handle(), socket_.native_handle()) {
  shared_.connections.fetch_add(1, std::memory_order_relaxed);
}

Connection::~Connection() { shared_.connections.fetch_sub(1, std::memory_order_relaxed); }

void Connection::enter(Stage stage, std::chrono::milliseconds timeout) {
  stage_ = stage;
  deadline_ = Clock::now() + timeout;
}

void Connection::start() {
  boost::system::error_code error;
  socket_.native_non_blocking(true, error);
  if (error) return fail("accept", error);
  socket_.set_option(asio::ip::tcp::no_delay(true), error);
  enter(Stage::Handshake, shared_.options.handshake_timeout);
  shake_hands();
}

void Connection::wait(TlsStream::Result result, Step next) {
  switch (result) {
    case TlsStream::Result::NeedInput:
      return receive(next);
    case TlsStream::Result::NeedOutput:
      return socket_.async_wait(Socket::wait_write, [self = shared_from_this(),
                                                     next](const boost::system::error_code& error) {
        if (self->stage_ == Stage::Closed) return;
        if (error) return self->fail("write", error);
        (self.get()->*next)();
      });
    case TlsStream::Result::Failed:
      if (stage_ == Stage::Idle || stage_ == Stage::Linger) return close();
      return fail(stage_ == Stage::Handshake ? "handshake"
                  : stage_ == Stage::Write   ? "write"
                                             : "read",
                  stream_.error());
    case TlsStream::Result::Closed:
    case TlsStream::Result::Done:
      return close();
  }
}

void Connection::receive(Step next) {
  socket_.async_read_some(
      stream_.input_space(),
      [self = shared_from_this(), next](const boost::system::error_code& error, std::size_t size) {
        if (self->stage_ == Stage::Closed) return;
        if (error) {
          if (self->stage_ == Stage::Idle || self->stage_ == Stage::Linger) return self->close();
          return self->fail(self->stage_ == Stage::Handshake ? "handshake" : "read", error);
        }
        self->stream_.input_arrived(size);
        (self.get()->*next)();
      });
}

void Connection::shake_hands() {
  const TlsStream::Result result = stream_.handshake();
  if (result != TlsStream::Result::Done) return wait(result, &Connection::shake_hands);
  begin_request();
}

void Connection::begin_request() {
  parser_.emplace();
  parser_->eager(true);
  parser_->header_limit(static_cast<std::uint32_t>(shared_.options.max_header));
  parser_->body_limit(shared_.options.max_body);
  continued_ = false;
  if (buffer_.size() > 0) {
    enter(Stage::Header, shared_.options.header_timeout);
    if (!parse()) return;
  } else {
    // One large review must not keep its memory for as long as the connection lives.
    if (buffer_.capacity() > 4 * kReadSize) buffer_.shrink_to_fit();
    enter(Stage::Idle, shared_.options.idle_timeout);
  }
  read();
}

void Connection::read() {
  while (true) {
    std::size_t size = 0;
    const TlsStream::Result result = stream_.read(buffer_.prepare(kReadSize), size);
    if (result != TlsStream::Result::Done) return wait(result, &Connection::read);
    buffer_.commit(size);
    if (stage_ == Stage::Idle) enter(Stage::Header, shared_.options.header_timeout);
    if (!parse()) return;
  }
}

bool Connection::parse() {
  boost::system::error_code error;
  while (buffer_.size() > 0 && !parser_->is_done()) {
    const std::size_t used = parser_->put(buffer_.data(), error);
    buffer_.consume(used);
    if (error == http::error::need_more) {
      error = {};
      break;
    }
    if (error) {
      refuse(status_for(error), error.message());
      return false;
    }
    if (used == 0) break;
  }
  if (parser_->is_done()) {
    handle();
    return false;
  }
  if (parser_->is_header_done() && stage_ == Stage::Header) {
    enter(Stage::Body, shared_.options.body_timeout);
  }
  if (parser_->is_header_done() && !continued_ &&
      http::token_list{parser_->get()[http::field::expect]}.exists("100-continue")) {
    continued_ = true;
    out_ = "HTTP/1.1 100 Continue\r\n\r\n";
    return send_continue();
  }
  return true;
}

bool Connection::send_continue() {
  const TlsStream::Result result = stream_.write(out_);
  if (result == TlsStream::Result::Done) return true;
  wait(result, &Connection::write_continue);
  return false;
}

void Connection::write_continue() {
  if (send_continue()) read();
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
  keep_alive_ = keep_alive;
  write();
}

void Connection::write() {
  const TlsStream::Result result = stream_.write(out_);
  if (result != TlsStream::Result::Done) return wait(result, &Connection::write);
  if (!keep_alive_) return linger();
  if (buffer_.size() == 0 && !stream_.has_input()) return begin_request();
  // The next request is here already: the other connections of this thread come first.
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    if (self->stage_ != Stage::Closed) self->begin_request();
  });
}

void Connection::linger() {
  enter(Stage::Linger, kLinger);
  end_tls();
}

void Connection::end_tls() {
  const TlsStream::Result result = stream_.shutdown();
  if (result == TlsStream::Result::NeedOutput) return wait(result, &Connection::end_tls);
  // What is left of TLS does not matter: the client has its answer, or never will.
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  discard();
}

void Connection::discard() {
  buffer_.clear();
  socket_.async_read_some(
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
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
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
