#include "https_client.hpp"

#include <poll.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace gobuildenv::webhooks::testing {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

struct HttpsClient::Impl {
  asio::io_context io;
  asio::ssl::context tls{asio::ssl::context::tls_client};
  std::unique_ptr<asio::ssl::stream<asio::ip::tcp::socket>> stream;
  boost::beast::flat_buffer buffer;
  std::string error;
};

HttpsClient::HttpsClient(std::uint16_t port, const std::string& ca_pem, int max_tls,
                         const std::string& alpn)
    : impl_(std::make_unique<Impl>()) {
  impl_->tls.set_verify_mode(asio::ssl::verify_peer);
  impl_->tls.add_certificate_authority(asio::buffer(ca_pem));
  impl_->tls.set_verify_callback(asio::ssl::host_name_verification("webhook.test"));
  if (max_tls != 0) {
    SSL_CTX_set_min_proto_version(impl_->tls.native_handle(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(impl_->tls.native_handle(), max_tls);
    SSL_CTX_set_security_level(impl_->tls.native_handle(), 0);
  }
  impl_->stream = std::make_unique<asio::ssl::stream<asio::ip::tcp::socket>>(impl_->io, impl_->tls);
  const std::string wire = static_cast<char>(alpn.size()) + alpn;
  SSL_set_alpn_protos(impl_->stream->native_handle(),
                      reinterpret_cast<const unsigned char*>(wire.data()),
                      static_cast<unsigned>(wire.size()));
  error_code error;
  impl_->stream->next_layer().connect({asio::ip::address_v4::loopback(), port}, error);
  if (!error) impl_->stream->handshake(asio::ssl::stream_base::client, error);
  if (error) impl_->error = error.message();
}

HttpsClient::~HttpsClient() {
  error_code ignored;
  impl_->stream->next_layer().close(ignored);
}

const std::string& HttpsClient::error() const { return impl_->error; }

std::string HttpsClient::alpn() const {
  const unsigned char* name = nullptr;
  unsigned length = 0;
  SSL_get0_alpn_selected(impl_->stream->native_handle(), &name, &length);
  return name == nullptr ? std::string{} : std::string(reinterpret_cast<const char*>(name), length);
}

std::string HttpsClient::tls_version() const {
  return SSL_get_version(impl_->stream->native_handle());
}

Reply HttpsClient::post(const std::string& path, const std::string& body,
                        const std::string& content_type) {
  return request("POST", path, body, content_type);
}

Reply HttpsClient::request(const std::string& method, const std::string& path,
                           const std::string& body, const std::string& content_type) {
  const std::string failure = write_raw(
      method + " " + path + " HTTP/1.1\r\nHost: webhook.test\r\nContent-Type: " + content_type +
      "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  // A server may answer and close before it has read everything: the answer still counts.
  Reply reply = read_reply();
  if (reply.status == 0 && !failure.empty()) reply.error = failure;
  return reply;
}

std::string HttpsClient::write_raw(const std::string& bytes) {
  error_code error;
  asio::write(*impl_->stream, asio::buffer(bytes), error);
  return error ? error.message() : std::string{};
}

Reply HttpsClient::read_reply() {
  http::response<http::string_body> response;
  error_code error;
  http::read(*impl_->stream, impl_->buffer, response, error);
  if (error) return {0, {}, {}, error.message()};
  return {static_cast<int>(response.result_int()),
          response.body(),
          std::string(response[http::field::connection]),
          {}};
}

bool HttpsClient::closed_within(std::chrono::milliseconds patience) {
  pollfd waiting{impl_->stream->next_layer().native_handle(), POLLIN, 0};
  if (poll(&waiting, 1, static_cast<int>(patience.count())) != 1) return false;
  error_code error;
  char byte = 0;
  impl_->stream->read_some(asio::buffer(&byte, 1), error);
  return static_cast<bool>(error);
}

bool tcp_closed_after(std::uint16_t port, const std::string& bytes,
                      std::chrono::milliseconds patience) {
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  error_code error;
  socket.connect({asio::ip::address_v4::loopback(), port}, error);
  if (error) return false;
  asio::write(socket, asio::buffer(bytes), error);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waiting{socket.native_handle(), POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) != 1) return false;
    char buffer[4096];
    socket.read_some(asio::buffer(buffer), error);
    if (error) return true;
  }
}

}  // namespace gobuildenv::webhooks::testing
