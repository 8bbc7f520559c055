#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "webhooks/server/server.hpp"
#include "webhooks/server/tls_context.hpp"
#include "webhooks/server/tls_stream.hpp"

/// One client's connection: handshake, then request and answer in turn. Lives on one worker's
/// thread, so it needs no lock; deadlines are checked by the worker's sweep, not by timers, because
/// a timer for every request costs more than the request's parsing.
namespace gobuildenv::webhooks::server {

using Clock = std::chrono::steady_clock;
using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

/// What all connections of a server share.
struct Shared {
  Options options;
  Routes routes;
  Observer* observer = nullptr;
  std::atomic<bool> draining{false};
  std::atomic<std::size_t> connections{0};
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket socket, TlsContext tls, Shared& shared);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  /// Closes it when its deadline has passed.
  void sweep(Clock::time_point now);
  /// Closes it when no request is under way; otherwise after the answer.
  void drain();
  bool closed() const { return stage_ == Stage::Closed; }

 private:
  enum class Stage { Handshake, Idle, Header, Body, Write, Linger, Closed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  using Step = void (Connection::*)();

  void enter(Stage stage, std::chrono::milliseconds timeout);
  /// Waits for what `result` needs and calls `next` then; ends the connection where it is none.
  void wait(TlsStream::Result result, Step next);
  void receive(Step next);
  void shake_hands();
  void begin_request();
  /// Reads until a request is whole, then answers it.
  void read();
  /// Feeds the parser; false when what is there has been dealt with: read no further.
  bool parse();
  /// The answer to Expect: 100-continue; false when it is not yet sent.
  bool send_continue();
  void write_continue();
  void handle();
  Answer answer(const Handler* handler);
  void refuse(int status, std::string_view message);
  void send(const Answer& answer, bool keep_alive);
  void write();
  /// Ends TLS and reads what the client is still sending, so that it gets to see the answer.
  void linger();
  void end_tls();
  void discard();
  void close();
  void fail(std::string_view stage, const boost::system::error_code& error);

  Shared& shared_;
  TlsContext tls_;
  Socket socket_;
  TlsStream stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::string out_;
  Stage stage_ = Stage::Handshake;
  Clock::time_point deadline_;
  bool continued_ = false;   ///< "100 Continue" has been sent for this request
  bool keep_alive_ = false;  ///< another request may follow the answer under way
};

}  // namespace gobuildenv::webhooks::server
