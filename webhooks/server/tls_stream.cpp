#include "webhooks/server/tls_stream.hpp"

#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <cerrno>
#include <cstring>
#include <new>

namespace gobuildenv::webhooks::server {
namespace {

long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

}  // namespace

/// A BIO (OpenSSL's bio(7)) whose data is the TlsStream.
const BIO_METHOD* TlsStream::socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made =
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "non-blocking socket");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_read(made, &TlsStream::take_input);
    BIO_meth_set_write(made, &TlsStream::send_output);
    BIO_meth_set_ctrl(made, &control);
    return made;
  }();
  return method;
}

TlsStream::TlsStream(SSL_CTX* context, int socket) : socket_(socket), ssl_(SSL_new(context)) {
  BIO* bio = ssl_ ? BIO_new(socket_method()) : nullptr;
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
  // A whole record at a time, not its header first.
  SSL_set_read_ahead(ssl_.get(), 1);
}

void TlsStream::input_arrived(std::size_t size) {
  input_begin_ = 0;
  input_end_ = size;
}

bool TlsStream::has_input() const {
  return input_begin_ != input_end_ || SSL_has_pending(ssl_.get()) == 1;
}

int TlsStream::take_input(BIO* bio, char* to, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t left = self.input_end_ - self.input_begin_;
  if (left == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const std::size_t taken = std::min(left, static_cast<std::size_t>(size));
  std::memcpy(to, self.input_.data() + self.input_begin_, taken);
  self.input_begin_ += taken;
  return static_cast<int>(taken);
}

int TlsStream::send_output(BIO* bio, const char* from, int size) {
  auto& self = *static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(self.socket_, from, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<int>(sent);
  if (errno == EAGAIN || errno == EINTR) {
    BIO_set_retry_write(bio);
  } else {
    self.error_.assign(errno, boost::system::system_category());
  }
  return -1;
}

TlsStream::Result TlsStream::result_of(int returned) {
  if (returned > 0) return Result::Done;
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return Result::NeedInput;
    case SSL_ERROR_WANT_WRITE:
      return Result::NeedOutput;
    case SSL_ERROR_ZERO_RETURN:
      return Result::Closed;
    default:
      break;
  }
  const unsigned long code = ERR_get_error();
  if (!error_) {
    error_ = code == 0 ? make_error_code(boost::asio::ssl::error::stream_truncated)
                       : boost::system::error_code(static_cast<int>(code),
                                                   boost::asio::error::get_ssl_category());
  }
  return Result::Failed;
}

TlsStream::Result TlsStream::handshake() {
  ERR_clear_error();
  return result_of(SSL_do_handshake(ssl_.get()));
}

TlsStream::Result TlsStream::read(boost::asio::mutable_buffer to, std::size_t& size) {
  ERR_clear_error();
  return result_of(SSL_read_ex(ssl_.get(), to.data(), to.size(), &size));
}

TlsStream::Result TlsStream::write(std::string_view bytes) {
  ERR_clear_error();
  std::size_t written = 0;
  return result_of(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written));
}

TlsStream::Result TlsStream::shutdown() {
  ERR_clear_error();
  const int returned = SSL_shutdown(ssl_.get());
  return returned == 0 ? Result::Done : result_of(returned);
}

}  // namespace gobuildenv::webhooks::server
