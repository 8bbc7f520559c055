#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/health.hpp"
#include "kube/http_server.hpp"
#include "kube/metrics.hpp"

/// What every long-running program of ours needs of its process.
namespace gobuildenv::cli {

/// The variable's value, or "".
std::string environment(const char* name);

/// This machine's name, or "".
std::string host_name();

/// SIGTERM and SIGINT are blocked everywhere and waited for in one thread; the second one ends the
/// process at once. Made before any thread exists: one that does not block a signal would be ended
/// by it, and with it the process, whatever the others block.
class Signals {
 public:
  Signals();
  /// `callback` runs on the waiting thread, once; what it refers to lives as long as the process.
  void on_first(std::function<void()> callback);

 private:
  sigset_t set_{};
};

/// Two short-lived threads' worth of malloc arenas: the default of eight per core keeps what each
/// once used.
void cap_malloc();

/// Serves at `bind` (parse_bind()); null where that is "off". The error names `flag`.
tl::expected<std::unique_ptr<kube::HttpServer>, std::string> listen(
    const char* flag, const std::string& bind, kube::HttpServer::Handler handler);

/// /healthz and /readyz.
kube::HttpServer::Handler health_handler(kube::HealthChecks& live, kube::HealthChecks& ready);
/// /metrics.
kube::HttpServer::Handler metrics_handler(kube::Metrics& metrics);

/// A file of PEM certificates, read whole; "" for no path. The error names `flag`.
tl::expected<std::string, std::string> read_pem(const char* flag, const std::string& path);

}  // namespace gobuildenv::cli
