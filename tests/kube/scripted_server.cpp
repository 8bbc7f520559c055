#include "tests/kube/scripted_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

namespace gobuildenv::kube::testing {
namespace {

int choose_http11(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in,
                  unsigned int in_size, void*) {
  static const unsigned char kMine[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  return SSL_select_next_proto(const_cast<unsigned char**>(out), size, kMine, sizeof kMine, in,
                               in_size) == OPENSSL_NPN_NEGOTIATED
             ? SSL_TLSEXT_ERR_OK
             : SSL_TLSEXT_ERR_NOACK;
}

std::shared_ptr<SSL_CTX> server_context(const ScriptedServer::Tls& tls) {
  std::shared_ptr<SSL_CTX> ctx(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  BIO* bio = BIO_new_mem_buf(tls.server.certificate.data(), -1);
  X509* cert = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_certificate(ctx.get(), cert);
  X509_free(cert);
  BIO_free_all(bio);
  bio = BIO_new_mem_buf(tls.server.key.data(), -1);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  SSL_CTX_use_PrivateKey(ctx.get(), key);
  EVP_PKEY_free(key);
  BIO_free_all(bio);
  SSL_CTX_set_alpn_select_cb(ctx.get(), choose_http11, nullptr);
  if (!tls.client_authority.empty()) {
    bio = BIO_new_mem_buf(tls.client_authority.data(), -1);
    X509* ca = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx.get()), ca);
    X509_free(ca);
    BIO_free_all(bio);
    SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return ctx;
}

}  // namespace

std::string RecordedRequest::header(std::string_view name) const {
  return std::string(header_value(headers, name));
}

Reply Reply::json(int status, const std::string& body, const Headers& extra) {
  std::string head = fmt::format(
      "HTTP/1.1 {} Scripted\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", status,
      body.size());
  for (const auto& [name, value] : extra) {
    head += fmt::format("{}: {}\r\n", name, value);
  }
  return raw(head + "\r\n" + body);
}

Reply Reply::stream(int status) {
  return raw(
      fmt::format("HTTP/1.1 {} Scripted\r\nContent-Type: application/json\r\n"
                  "Transfer-Encoding: chunked\r\n\r\n",
                  status));
}

Reply Reply::raw(std::string bytes) {
  Reply reply;
  reply.acts_.push_back({Act::Kind::Send, std::move(bytes)});
  return reply;
}

Reply& Reply::chunk(const std::string& data) {
  acts_.push_back({Act::Kind::Send, fmt::format("{:x}\r\n{}\r\n", data.size(), data)});
  return *this;
}

Reply& Reply::pause(std::chrono::milliseconds time) {
  acts_.push_back({Act::Kind::Pause, "", time});
  return *this;
}

Reply& Reply::drip(const std::string& bytes, std::chrono::milliseconds gap) {
  for (const char byte : bytes) {
    acts_.push_back({Act::Kind::Send, std::string(1, byte)});
    pause(gap);
  }
  return *this;
}

Reply& Reply::end() {
  acts_.push_back({Act::Kind::Send, "0\r\n\r\n"});
  return *this;
}

Reply& Reply::close() {
  acts_.push_back({Act::Kind::Close, ""});
  return *this;
}

Reply& Reply::hold() {
  acts_.push_back({Act::Kind::Hold, ""});
  return *this;
}

/// One accepted connection; its thread alone reads and writes, others only shut it down.
struct ScriptedServer::Peer {
  int fd = -1;
  SSL* ssl = nullptr;
  bool done = false;    ///< guarded by the server's mutex
  bool closed = false;  ///< the same
  std::thread thread;

  long receive(char* data, std::size_t size) const {
    return ssl != nullptr ? SSL_read(ssl, data, static_cast<int>(size)) : recv(fd, data, size, 0);
  }
  bool send_all(std::string_view data) const {
    while (!data.empty()) {
      const long sent = ssl != nullptr ? SSL_write(ssl, data.data(), static_cast<int>(data.size()))
                                       : send(fd, data.data(), data.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        return false;
      }
      data.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
};

ScriptedServer::ScriptedServer(Handler handler, std::optional<Tls> tls)
    : handler_(std::move(handler)) {
  // SSL_write raises it when the client is gone first.
  std::signal(SIGPIPE, SIG_IGN);
  if (tls) {
    tls_ = server_context(*tls);
  }
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(listener_, 64) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("scripted server: no loopback port");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

ScriptedServer::~ScriptedServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  drop_connections();
  for (const auto& peer : peers_) {
    peer->thread.join();
  }
  close(listener_);
}

std::string ScriptedServer::url() const {
  const std::lock_guard lock(mutex_);
  return fmt::format("{}://127.0.0.1:{}", tls_ ? "https" : "http", port_);
}

void ScriptedServer::use_certificate(const Tls& tls) {
  auto made = server_context(tls);
  const std::lock_guard lock(mutex_);
  tls_ = std::move(made);
}

void ScriptedServer::drop_connections() {
  const std::lock_guard lock(mutex_);
  for (const auto& peer : peers_) {
    if (!peer->closed) {
      shutdown(peer->fd, SHUT_RDWR);
    }
  }
}

std::vector<RecordedRequest> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::size_t ScriptedServer::connections() const {
  const std::lock_guard lock(mutex_);
  return accepted_;
}

bool ScriptedServer::wait_for_requests(std::size_t count, std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [&] { return requests_.size() >= count; });
}

void ScriptedServer::accept_loop() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (stopping_ || fd < 0) {
      if (fd >= 0) {
        close(fd);
      }
      if (stopping_) {
        return;
      }
      continue;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peers_.remove_if([](const std::unique_ptr<Peer>& peer) {
      if (peer->done) {
        peer->thread.join();
      }
      return peer->done;
    });
    auto& peer = *peers_.emplace_back(std::make_unique<Peer>());
    peer.fd = fd;
    const std::size_t number = ++accepted_;
    const auto ctx = tls_;
    peer.thread = std::thread([this, &peer, number, ctx] {
      if (ctx) {
        peer.ssl = SSL_new(ctx.get());
        SSL_set_fd(peer.ssl, peer.fd);
      }
      if (!ctx || SSL_accept(peer.ssl) == 1) {
        serve(peer, number);
      }
      const std::lock_guard guard(mutex_);
      SSL_free(peer.ssl);
      ERR_clear_error();
      close(peer.fd);
      peer.closed = true;
      peer.done = true;
    });
  }
}

void ScriptedServer::serve(Peer& peer, std::size_t number) {
  std::string buffer;
  char chunk[16384];
  for (;;) {
    std::size_t head_end = 0;
    while ((head_end = buffer.find("\r\n\r\n")) == std::string::npos) {
      const long got = peer.receive(chunk, sizeof chunk);
      if (got <= 0) {
        return;
      }
      buffer.append(chunk, static_cast<std::size_t>(got));
    }
    RecordedRequest request;
    request.connection = number;
    const std::string head = buffer.substr(0, head_end);
    buffer.erase(0, head_end + 4);
    std::size_t at = head.find("\r\n");
    const std::string line = head.substr(0, at);
    request.method = line.substr(0, line.find(' '));
    request.target = line.substr(line.find(' ') + 1);
    request.target.resize(std::min(request.target.size(), request.target.rfind(' ')));
    while (at != std::string::npos) {
      const std::size_t start = at + 2;
      at = head.find("\r\n", start);
      const std::string field = head.substr(start, at == std::string::npos ? at : at - start);
      const std::size_t colon = field.find(':');
      if (colon != std::string::npos) {
        const std::size_t value = field.find_first_not_of(' ', colon + 1);
        request.headers.emplace_back(field.substr(0, colon),
                                     value == std::string::npos ? "" : field.substr(value));
      }
    }
    const std::string length = request.header("Content-Length");
    const std::size_t size = length.empty() ? 0 : std::strtoul(length.c_str(), nullptr, 10);
    while (buffer.size() < size) {
      const long got = peer.receive(chunk, sizeof chunk);
      if (got <= 0) {
        return;
      }
      buffer.append(chunk, static_cast<std::size_t>(got));
    }
    request.body = buffer.substr(0, size);
    buffer.erase(0, size);
    const Reply reply = handler_(request);
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(std::move(request));
    }
    changed_.notify_all();
    if (!perform(peer, reply)) {
      return;
    }
  }
}

bool ScriptedServer::perform(Peer& peer, const Reply& reply) {
  for (const auto& act : reply.acts_) {
    switch (act.kind) {
      case Reply::Act::Kind::Send:
        if (!peer.send_all(act.bytes)) {
          return false;
        }
        break;
      case Reply::Act::Kind::Pause: {
        std::unique_lock lock(mutex_);
        if (changed_.wait_for(lock, act.time, [this] { return stopping_; })) {
          return false;
        }
        break;
      }
      case Reply::Act::Kind::Close:
        return false;
      case Reply::Act::Kind::Hold: {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopping_; });
        return false;
      }
    }
  }
  return true;
}

}  // namespace gobuildenv::kube::testing
