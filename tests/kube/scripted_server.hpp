#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kube/http.hpp"
#include "tests/kube/test_certificates.hpp"

struct ssl_ctx_st;

/// An HTTP/1.1 server on loopback that does what a test says, byte by byte if need be. It knows
/// nothing of Kubernetes and must not learn it.
namespace gobuildenv::kube::testing {

/// What the server received, complete.
struct RecordedRequest {
  std::string method;
  std::string target;
  Headers headers;
  std::string body;
  std::size_t connection = 0;  ///< counted from 1 in the order of accept()
  [[nodiscard]] std::string header(std::string_view name) const;
};

/// One answer as a list of acts. After its last act the connection is kept for the next request,
/// unless an act ends it.
class Reply {
 public:
  /// A whole answer with Content-Length; Content-Type is application/json.
  static Reply json(int status, const std::string& body, const Headers& extra = {});
  /// The head of a chunked answer; add chunk(), pause(), then end(), truncate() or hold().
  static Reply stream(int status = 200);
  /// Exactly these bytes.
  static Reply raw(std::string bytes);
  /// Nothing at all until the server stops: a black hole.
  static Reply black_hole() { return raw("").hold(); }
  /// The connection is closed without an answer.
  static Reply hang_up() { return raw("").close(); }

  Reply& chunk(const std::string& data);
  Reply& pause(std::chrono::milliseconds time);
  /// Sends `bytes` one at a time, `gap` apart.
  Reply& drip(const std::string& bytes, std::chrono::milliseconds gap);
  Reply& end();                          ///< the last chunk
  Reply& truncate() { return close(); }  ///< closes in the middle of the body
  Reply& close();
  Reply& hold();  ///< keeps the connection open and silent until the server stops

 private:
  friend class ScriptedServer;
  struct Act {
    enum class Kind { Send, Pause, Close, Hold } kind;
    std::string bytes;
    std::chrono::milliseconds time{0};
  };
  std::vector<Act> acts_;
};

class ScriptedServer {
 public:
  using Handler = std::function<Reply(const RecordedRequest&)>;
  struct Tls {
    Issued server;
    std::string client_authority;  ///< PEM; when set a client certificate is demanded
  };

  /// Listens on a free port of 127.0.0.1. `handler` runs on the connections' threads.
  explicit ScriptedServer(Handler handler, std::optional<Tls> tls = std::nullopt);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const;  ///< "http(s)://127.0.0.1:PORT"
  /// Replaces the certificate for connections accepted from now on.
  void use_certificate(const Tls& tls);
  /// Closes every open connection; listening goes on.
  void drop_connections();
  [[nodiscard]] std::vector<RecordedRequest> requests() const;
  [[nodiscard]] std::size_t connections() const;
  /// Waits until `count` requests have come; false after `limit`.
  bool wait_for_requests(std::size_t count,
                         std::chrono::milliseconds limit = std::chrono::seconds(10)) const;

 private:
  struct Peer;
  void accept_loop();
  void serve(Peer& peer, std::size_t number);
  bool perform(Peer& peer, const Reply& reply);

  Handler handler_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::shared_ptr<ssl_ctx_st> tls_;
  bool stopping_ = false;
  std::size_t accepted_ = 0;
  std::vector<RecordedRequest> requests_;
  std::list<std::unique_ptr<Peer>> peers_;
  std::thread acceptor_;
};

}  // namespace gobuildenv::kube::testing
