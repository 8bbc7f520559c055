#include "operator/process.hpp"

#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "operator/bind_address.hpp"

namespace gobuildenv::cli {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

std::string host_name() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) return {};
  return host.data();
}

Signals::Signals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGTERM);
  sigaddset(&set_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

void Signals::on_first(std::function<void()> callback) {
  // Detached: it lives as long as the process, and after the first signal it only ends it.
  std::thread([set = set_, callback = std::move(callback)] {
    int signal = 0;
    sigwait(&set, &signal);
    spdlog::info("stopping signal={}", signal);
    callback();
    sigwait(&set, &signal);
    _exit(128 + signal);
  }).detach();
}

void cap_malloc() {
  mallopt(M_ARENA_MAX, 2);
  mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}

tl::expected<std::unique_ptr<kube::HttpServer>, std::string> listen(
    const char* flag, const std::string& bind, kube::HttpServer::Handler handler) {
  const auto address = parse_bind(bind);
  if (!address) return tl::unexpected(fmt::format("{}: {}", flag, address.error()));
  if (!address->enabled) return nullptr;
  kube::HttpServerOptions options;
  if (!address->host.empty()) options.address = address->host;
  options.port = address->port;
  auto server = kube::HttpServer::start(options, std::move(handler));
  if (!server) return tl::unexpected(fmt::format("{}: {}", flag, server.error()));
  return std::move(*server);
}

kube::HttpServer::Handler health_handler(kube::HealthChecks& live, kube::HealthChecks& ready) {
  return [&live, &ready](std::string_view target) {
    auto answer = target.starts_with("/readyz") ? ready.answer(target) : live.answer(target);
    return kube::HttpAnswer{answer.status, "text/plain; charset=utf-8", std::move(answer.body)};
  };
}

kube::HttpServer::Handler metrics_handler(kube::Metrics& metrics) {
  return [&metrics](std::string_view target) {
    if (target.substr(0, target.find('?')) != "/metrics") {
      return kube::HttpAnswer{404, "text/plain; charset=utf-8", "only /metrics is here\n"};
    }
    return kube::HttpAnswer{200, kube::Metrics::kContentType, metrics.text()};
  };
}

tl::expected<std::string, std::string> read_pem(const char* flag, const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (text.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    return tl::unexpected(fmt::format("{}: {} holds no PEM certificate", flag, path));
  }
  return text;
}

}  // namespace gobuildenv::cli
