#pragma once

#include <openssl/ssl.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <memory>
#include <string_view>

namespace gobuildenv::webhooks::server {

/// The server's side of TLS on one non-blocking socket, by steps that never wait. What arrives is
/// handed in; what leaves goes to the socket at once, without a buffer between. An ssl::stream
/// copies both ways through a pair of BIOs and gives up its buffers after each record: a tenth of
/// what a review costs.
class TlsStream {
 public:
  enum class Result {
    Done,
    NeedInput,   ///< read from the socket into input_space(), then the same step again
    NeedOutput,  ///< wait until the socket can be written to, then the same step again
    Closed,      ///< the peer has ended TLS in order
    Failed,      ///< see error()
  };

  /// `context` must outlive it; `socket` is non-blocking and stays the caller's.
  TlsStream(SSL_CTX* context, int socket);
  ~TlsStream() = default;
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  /// Where to put what the socket has; for NeedInput only, when nothing is left there.
  boost::asio::mutable_buffer input_space() { return boost::asio::buffer(input_); }
  void input_arrived(std::size_t size);
  /// Whether something that arrived has not been read yet.
  bool has_input() const;

  Result handshake();
  /// Reads some of what the peer sent, `size` bytes of it with Done.
  Result read(boost::asio::mutable_buffer to, std::size_t& size);
  /// Writes all of `bytes`; these stay where they are until Done.
  Result write(std::string_view bytes);
  /// Tells the peer that nothing follows; Done when that is said.
  Result shutdown();

  const boost::system::error_code& error() const { return error_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  /// TLS' largest record with its header.
  static constexpr std::size_t kInputSize = (std::size_t{16} << 10) + 512;

  static const BIO_METHOD* socket_method();
  static int take_input(BIO* bio, char* to, int size);
  static int send_output(BIO* bio, const char* from, int size);
  Result result_of(int returned);

  int socket_;
  std::unique_ptr<SSL, Free> ssl_;
  std::array<char, kInputSize> input_;
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  boost::system::error_code error_;
};

}  // namespace gobuildenv::webhooks::server
