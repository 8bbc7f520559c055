#include "webhooks/server/server.hpp"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <mutex>
#include <thread>
#include <vector>

#include "webhooks/server/connection.hpp"

namespace gobuildenv::webhooks::server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

/// How often deadlines are looked at: a fraction of the shortest of them.
std::chrono::milliseconds sweep_interval(const Options& options) {
  const auto shortest =
      std::min({options.handshake_timeout, options.header_timeout, options.body_timeout,
                options.write_timeout, options.idle_timeout});
  return std::clamp(shortest / 8, std::chrono::milliseconds{5}, std::chrono::milliseconds{1000});
}

/// One thread and the connections that live on it.
class Worker {
 public:
  explicit Worker(std::chrono::milliseconds interval)
      : guard_(asio::make_work_guard(context_)), timer_(context_), interval_(interval) {}
  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start() {
    thread_ = std::thread([this] { context_.run(); });
  }

  void stop() {
    guard_.reset();
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }

  asio::io_context& context() { return context_; }

  void add(std::shared_ptr<Connection> connection) {
    asio::post(context_, [this, connection = std::move(connection)] {
      connections_.push_back(connection);
      connection->start();
      if (!sweeping_) sweep();
    });
  }

  /// Calls `action` for every connection, on the worker's thread.
  void for_all(void (Connection::*action)()) {
    asio::post(context_, [this, action] {
      for (const auto& weak : connections_) {
        if (const auto connection = weak.lock()) (connection.get()->*action)();
      }
    });
  }

 private:
  void sweep() {
    const auto now = Clock::now();
    std::erase_if(connections_, [now](const std::weak_ptr<Connection>& weak) {
      const auto connection = weak.lock();
      if (connection) connection->sweep(now);
      return !connection || connection->closed();
    });
    // An idle server has no timer running.
    sweeping_ = !connections_.empty();
    if (!sweeping_) return;
    timer_.expires_after(interval_);
    timer_.async_wait([this](const error_code& error) {
      if (!error) sweep();
    });
  }

  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  asio::steady_timer timer_;
  std::chrono::milliseconds interval_;
  std::vector<std::weak_ptr<Connection>> connections_;
  bool sweeping_ = false;
  std::thread thread_;
};

using Acceptor = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

/// Binds and listens. Without an address: both families, or IPv4 where there is no IPv6.
error_code listen(Acceptor& acceptor, const Options& options) {
  const auto bind = [&acceptor](const tcp::endpoint& endpoint) {
    error_code error;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && endpoint.address().is_v6()) {
      acceptor.set_option(asio::ip::v6_only(false), error);
    }
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      error_code ignored;
      acceptor.close(ignored);
    }
    return error;
  };
  if (!options.address.empty()) {
    error_code error;
    const auto address = asio::ip::make_address(options.address, error);
    return error ? error : bind({address, options.port});
  }
  const error_code error = bind({asio::ip::address_v6::any(), options.port});
  return error == asio::error::address_in_use || !error
             ? error
             : bind({asio::ip::address_v4::any(), options.port});
}

}  // namespace

struct Server::State {
  Shared shared;
  std::mutex tls_mutex;
  TlsContext tls;
  std::vector<std::unique_ptr<Worker>> workers;
  std::unique_ptr<Acceptor> acceptor;
  std::unique_ptr<asio::steady_timer> retry;
  std::size_t next_worker = 0;
  std::uint16_t port = 0;
  bool running = false;

  void accept() {
    Worker& worker = *workers[next_worker++ % workers.size()];
    acceptor->async_accept(
        worker.context(), [this, &worker](const error_code& error, Socket socket) {
          if (error == asio::error::operation_aborted || !acceptor->is_open()) return;
          if (error) return pause(error);
          if (shared.connections.load(std::memory_order_relaxed) < shared.options.max_connections) {
            worker.add(std::make_shared<Connection>(std::move(socket), current_tls(), shared));
          } else if (shared.observer != nullptr) {
            shared.observer->failed("accept", "too many connections");
          }
          accept();
        });
  }

  /// Out of descriptors or memory: trying again at once would only burn a core.
  void pause(const error_code& error) {
    if (shared.observer != nullptr) shared.observer->failed("accept", error.message());
    retry->expires_after(std::chrono::milliseconds{100});
    retry->async_wait([this](const error_code& aborted) {
      if (!aborted && acceptor->is_open()) accept();
    });
  }

  TlsContext current_tls() {
    const std::lock_guard lock(tls_mutex);
    return tls;
  }
};

Server::Server(Options options, Routes routes, Observer* observer)
    : state_(std::make_unique<State>()) {
  state_->shared.options = std::move(options);
  state_->shared.routes = std::move(routes);
  state_->shared.observer = observer;
}

Server::~Server() { stop(std::chrono::milliseconds{0}); }

tl::expected<void, std::string> Server::start(const certificates::KeyPair& certificate) {
  if (auto set = set_certificate(certificate); !set) return set;
  const Options& options = state_->shared.options;
  const unsigned threads = std::max(1U, options.threads);
  for (unsigned i = 0; i < threads; ++i) {
    state_->workers.push_back(std::make_unique<Worker>(sweep_interval(options)));
  }
  asio::io_context& first = state_->workers.front()->context();
  state_->acceptor = std::make_unique<Acceptor>(first);
  state_->retry = std::make_unique<asio::steady_timer>(first);
  if (const error_code error = listen(*state_->acceptor, options)) {
    // Both live on the first worker's context: they go before it does.
    state_->retry.reset();
    state_->acceptor.reset();
    state_->workers.clear();
    return tl::unexpected("cannot listen on " +
                          (options.address.empty() ? "all addresses" : options.address) + " port " +
                          std::to_string(options.port) + ": " + error.message());
  }
  error_code ignored;
  state_->port = state_->acceptor->local_endpoint(ignored).port();
  state_->accept();
  for (auto& worker : state_->workers) worker->start();
  state_->running = true;
  return {};
}

std::uint16_t Server::port() const { return state_->port; }

tl::expected<void, std::string> Server::set_certificate(const certificates::KeyPair& certificate) {
  auto context = make_tls_context(certificate, state_->shared.options.min_tls);
  if (!context) return tl::unexpected(context.error());
  const std::lock_guard lock(state_->tls_mutex);
  state_->tls = std::move(*context);
  return {};
}

void Server::begin_drain() { state_->shared.draining.store(true); }

void Server::stop(std::chrono::milliseconds grace) {
  if (!state_->running) return;
  state_->running = false;
  begin_drain();
  asio::post(state_->workers.front()->context(), [state = state_.get()] {
    error_code ignored;
    state->acceptor->close(ignored);
    state->retry->cancel();
  });
  for (auto& worker : state_->workers) worker->for_all(&Connection::drain);
  const auto deadline = Clock::now() + grace;
  while (connections() > 0 && Clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  // What is left is cut off; destroying the contexts destroys their connections.
  for (auto& worker : state_->workers) worker->stop();
  state_->acceptor.reset();
  state_->retry.reset();
  // The first worker's pending accept holds a socket of another worker's context.
  state_->workers.front().reset();
  state_->workers.clear();
}

std::size_t Server::connections() const {
  return state_->shared.connections.load(std::memory_order_relaxed);
}

}  // namespace gobuildenv::webhooks::server
