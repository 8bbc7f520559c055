#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

/// A small blocking HTTPS client for tests of the server: one object is one connection.
namespace gobuildenv::webhooks::testing {

struct Reply {
  int status = 0;  ///< 0: the connection failed, see `error`
  std::string body;
  std::string connection;  ///< the Connection header
  std::string error;
};

class HttpsClient {
 public:
  /// Trusts `ca_pem`; verifies the server as "webhook.test". `max_tls` 0: any version.
  HttpsClient(std::uint16_t port, const std::string& ca_pem, int max_tls = 0,
              const std::string& alpn = "http/1.1");
  ~HttpsClient();
  HttpsClient(const HttpsClient&) = delete;
  HttpsClient& operator=(const HttpsClient&) = delete;

  /// Why connecting failed; empty when it did not.
  const std::string& error() const;
  std::string alpn() const;
  std::string tls_version() const;

  Reply post(const std::string& path, const std::string& body,
             const std::string& content_type = "application/json");
  Reply request(const std::string& method, const std::string& path, const std::string& body,
                const std::string& content_type);
  /// Bytes as they are; empty or what went wrong.
  std::string write_raw(const std::string& bytes);
  Reply read_reply();
  /// Whether the server ends the connection within `patience`.
  bool closed_within(std::chrono::milliseconds patience);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A plain TCP client: sends `bytes`, waits until the server closes or `patience` is over.
bool tcp_closed_after(std::uint16_t port, const std::string& bytes,
                      std::chrono::milliseconds patience);

}  // namespace gobuildenv::webhooks::testing
