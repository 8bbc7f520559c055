#include "kube/connection.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "kube/resolver.hpp"

namespace gobuildenv::kube {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = TransportError::Kind;

tl::unexpected<TransportError> fail(Kind kind, std::string message) {
  return tl::unexpected(TransportError{kind, std::move(message)});
}

std::string errno_text(int code) { return std::generic_category().message(code); }

// OpenSSL's socket BIO writes with write(), which raises SIGPIPE when the peer has closed, and a
// library may not change the process's signals. This BIO is the same with MSG_NOSIGNAL.
int socket_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int bio_write(BIO* bio, const char* data, int size) {
  const auto sent = send(socket_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  BIO_clear_retry_flags(bio);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
    BIO_set_retry_write(bio);
  }
  return static_cast<int>(sent);
}

int bio_read(BIO* bio, char* data, int size) {
  const auto got = recv(socket_of(bio), data, static_cast<std::size_t>(size), 0);
  BIO_clear_retry_flags(bio);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    BIO_set_retry_read(bio);
  } else if (got == 0) {
    BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  }
  return static_cast<int>(got);
}

long bio_ctrl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) {
    return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  }
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO* make_bio(int fd) {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_ctrl);
    return made;
  }();
  BIO* bio = BIO_new(method);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd)));
  BIO_set_init(bio, 1);
  return bio;
}

std::string tls_error_text() {
  const auto code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string text = reason == nullptr ? "TLS failure" : reason;
  ERR_clear_error();
  return text;
}

int poll_milliseconds(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 60'000));
}

bool is_address(const std::string& host) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
  ASN1_OCTET_STRING_free(address);
  return address != nullptr;
}

}  // namespace

tl::expected<std::unique_ptr<Connection>, TransportError> Connection::open(
    const Endpoint& endpoint, const TlsContext& tls, Deadline deadline,
    const CancelSignal* cancel) {
  if (cancel != nullptr && cancel->raised()) {
    return fail(Kind::Cancelled, "stopped");
  }
  const std::string& host = endpoint.tunnel ? endpoint.tunnel->host : endpoint.host;
  const std::uint16_t port = endpoint.tunnel ? endpoint.tunnel->port : endpoint.port;
  auto addresses = resolve(host, port, deadline, cancel);
  if (!addresses) {
    return tl::unexpected(addresses.error());
  }
  TransportError last{Kind::Connect, fmt::format("host={} has no address", host)};
  for (const addrinfo* at = addresses->get(); at != nullptr; at = at->ai_next) {
    const int fd =
        socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
    if (fd < 0) {
      last.message = fmt::format("no socket: {}", errno_text(errno));
      continue;
    }
    std::unique_ptr<Connection> connection(new Connection(fd, cancel));
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    int code = connect(fd, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (code == EINPROGRESS) {
      // A silent address leaves time for the ones after it.
      const auto share =
          at->ai_next == nullptr ? deadline : Clock::now() + (deadline - Clock::now()) / 2;
      if (auto waited = connection->wait(POLLOUT, share); !waited) {
        last = waited.error();
        if (last.kind == Kind::Cancelled) {
          break;
        }
        last.message = fmt::format("connecting to host={} port={} took too long", host, port);
        continue;
      }
      socklen_t size = sizeof code;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
    }
    if (code != 0) {
      last = {Kind::Connect,
              fmt::format("cannot connect to host={} port={}: {}", host, port, errno_text(code))};
      continue;
    }
    if (endpoint.tunnel) {
      if (auto done = connection->open_tunnel(endpoint, deadline); !done) {
        return tl::unexpected(done.error());
      }
    }
    if (endpoint.tls) {
      if (auto done = connection->handshake(endpoint, tls, deadline); !done) {
        return tl::unexpected(done.error());
      }
    }
    return connection;
  }
  return tl::unexpected(std::move(last));
}

Connection::~Connection() {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    SSL_shutdown(ssl_);  // says goodbye, does not wait for an answer
    ERR_clear_error();
    SSL_free(ssl_);
  }
  close(fd_);
}

tl::expected<void, TransportError> Connection::open_tunnel(const Endpoint& endpoint,
                                                           Deadline deadline) {
  constexpr std::size_t kMaxHead = 16384;
  const Tunnel& tunnel = *endpoint.tunnel;
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  const std::string target =
      fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), endpoint.host, endpoint.port);
  std::string request = fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\n", target);
  if (!tunnel.authorization.empty()) {
    request += fmt::format("Proxy-Authorization: {}\r\n", tunnel.authorization);
  }
  request += "\r\n";
  if (auto sent = write_all(request, deadline); !sent) {
    return sent;
  }
  const auto refused = [&](std::string_view why) {
    return fail(Kind::Connect,
                fmt::format("the HTTP proxy host={} port={} {}", tunnel.host, tunnel.port, why));
  };
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    // Byte by byte: what follows the head belongs to the endpoint.
    char byte = 0;
    auto got = read_some(&byte, 1, deadline);
    if (!got) {
      return tl::unexpected(got.error());
    }
    if (*got == 0 || head.size() >= kMaxHead) {
      return refused("gave no answer to CONNECT");
    }
    head += byte;
  }
  // "HTTP/1.1 200 …"
  if (!head.starts_with("HTTP/1.") || head.size() < 12 || head[9] != '2') {
    return refused(fmt::format("answered \"{}\" to CONNECT", head.substr(0, head.find('\r'))));
  }
  return {};
}

tl::expected<void, TransportError> Connection::handshake(const Endpoint& endpoint,
                                                         const TlsContext& tls, Deadline deadline) {
  ctx_ = tls.ctx;
  generation_ = tls.generation;
  ERR_clear_error();
  ssl_ = ctx_ ? SSL_new(ctx_.get()) : nullptr;
  if (ssl_ == nullptr) {
    return fail(Kind::Tls, "no TLS context");
  }
  BIO* bio = make_bio(fd_);
  SSL_set_bio(ssl_, bio, bio);
  const std::string& name = endpoint.server_name.empty() ? endpoint.host : endpoint.server_name;
  const bool address = is_address(name);
  if (address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), name.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl_, name.c_str());
    SSL_set1_host(ssl_, name.c_str());
  }
  for (;;) {
    const int result = SSL_connect(ssl_);
    if (result == 1) {
      return {};
    }
    const long verdict = SSL_get_verify_result(ssl_);
    auto again = after_tls(result, deadline, "TLS handshake");
    if (again) {
      continue;
    }
    TransportError error = again.error();
    if (error.kind == Kind::Closed || error.kind == Kind::Protocol) {
      error.kind = Kind::Tls;
    }
    if (verdict != X509_V_OK && SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE) {
      error.message = fmt::format("the certificate of host={} is not trusted for name={}: {}",
                                  endpoint.host, name, X509_verify_cert_error_string(verdict));
    }
    return tl::unexpected(std::move(error));
  }
}

tl::expected<void, TransportError> Connection::wait(short events, Deadline deadline) const {
  // poll() leaves out descriptors below zero.
  std::array<pollfd, 2> fds{
      {{fd_, events, 0}, {cancel_ == nullptr ? -1 : cancel_->fd(), POLLIN, 0}}};
  for (;;) {
    if (cancelled()) {
      return fail(Kind::Cancelled, "stopped");
    }
    const int timeout = poll_milliseconds(deadline);
    const int ready = poll(fds.data(), fds.size(), timeout);
    if (ready > 0) {
      if (fds[1].revents != 0) {
        return fail(Kind::Cancelled, "stopped");
      }
      return {};
    }
    if (ready < 0 && errno != EINTR) {
      return fail(Kind::Closed, fmt::format("poll: {}", errno_text(errno)));
    }
    if (ready == 0 && Clock::now() >= deadline) {
      return fail(Kind::Timeout, "no answer in time");
    }
  }
}

tl::expected<void, TransportError> Connection::after_tls(int result, Deadline deadline,
                                                         const char* doing) {
  const int code = errno;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return wait(POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
      return wait(POLLOUT, deadline);
    case SSL_ERROR_ZERO_RETURN:
      return fail(Kind::Closed, fmt::format("{}: the peer has closed", doing));
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      return fail(Kind::Closed,
                  fmt::format("{}: {}", doing, code == 0 ? "connection lost" : errno_text(code)));
    default: {
      const auto reason = ERR_GET_REASON(ERR_peek_last_error());
      if (reason == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        ERR_clear_error();
        return fail(Kind::Closed, fmt::format("{}: connection lost", doing));
      }
      return fail(Kind::Protocol, fmt::format("{}: {}", doing, tls_error_text()));
    }
  }
}

tl::expected<std::size_t, TransportError> Connection::read_some(char* buffer, std::size_t size,
                                                                Deadline deadline) {
  for (;;) {
    if (cancelled()) {
      return fail(Kind::Cancelled, "stopped");
    }
    // Also when bytes are ready: a peer that drips one at a time does not move the deadline.
    if (Clock::now() >= deadline) {
      return fail(Kind::Timeout, "no answer in time");
    }
    if (ssl_ != nullptr) {
      ERR_clear_error();
      std::size_t got = 0;
      const int result = SSL_read_ex(ssl_, buffer, size, &got);
      if (result == 1) {
        return got;
      }
      if (SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN) {
        return std::size_t{0};
      }
      if (auto again = after_tls(result, deadline, "read"); !again) {
        return tl::unexpected(again.error());
      }
      continue;
    }
    const auto got = recv(fd_, buffer, size, 0);
    if (got >= 0) {
      return static_cast<std::size_t>(got);
    }
    if (errno != EAGAIN && errno != EINTR) {
      return fail(Kind::Closed, fmt::format("read: {}", errno_text(errno)));
    }
    if (auto again = wait(POLLIN, deadline); !again) {
      return tl::unexpected(again.error());
    }
  }
}

tl::expected<void, TransportError> Connection::write_all(std::string_view data, Deadline deadline) {
  while (!data.empty()) {
    if (cancelled()) {
      return fail(Kind::Cancelled, "stopped");
    }
    if (Clock::now() >= deadline) {
      return fail(Kind::Timeout, "the request could not be sent in time");
    }
    if (ssl_ != nullptr) {
      ERR_clear_error();
      std::size_t sent = 0;
      const int result = SSL_write_ex(ssl_, data.data(), data.size(), &sent);
      if (result == 1) {
        data.remove_prefix(sent);
      } else if (auto again = after_tls(result, deadline, "write"); !again) {
        return again;
      }
      continue;
    }
    const auto sent = send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      data.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno != EAGAIN && errno != EINTR) {
      return fail(Kind::Closed, fmt::format("write: {}", errno_text(errno)));
    } else if (auto again = wait(POLLOUT, deadline); !again) {
      return again;
    }
  }
  return {};
}

bool Connection::usable() {
  if (cancelled()) {
    return false;
  }
  pollfd waiting{fd_, POLLIN, 0};
  if (poll(&waiting, 1, 0) == 0) {
    return true;
  }
  if (ssl_ == nullptr) {
    return false;
  }
  // A TLS record without data (a session ticket) is no reason to give the connection up.
  char byte = 0;
  std::size_t got = 0;
  ERR_clear_error();
  const int result = SSL_peek_ex(ssl_, &byte, 1, &got);
  const bool alive = result != 1 && SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ;
  ERR_clear_error();
  return alive;
}

}  // namespace gobuildenv::kube
