// Prints what one request costs in client CPU through each transport: run by hand, the figures are
// in docs/decisions/0001-http-clients.md. The server is a child process, so its CPU is not counted.
//   http_cost [pooled|cpprest] THREADS REQUESTS [get|patch]
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "kube/transports.hpp"
#include "kube/web_transport.hpp"
#include "tests/kube/scripted_server.hpp"

namespace {

using namespace gobuildenv::kube;  // NOLINT: one small program
using testing::Reply;

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string kind = argc > 1 ? argv[1] : "pooled";
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const int requests = argc > 3 ? std::atoi(argv[3]) : 5000;
  const bool patch = argc > 4 && std::string(argv[4]) == "patch";
  const auto authority = testing::make_authority("cost");
  const auto leaf = testing::issue(authority, "server", {"IP:127.0.0.1"});
  int pipes[2];
  if (pipe(pipes) != 0) {
    return 1;
  }
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string body =
        R"({"kind":"ConfigMap","data":{"a":")" + std::string(1500, 'x') + "\"}}";
    const auto reply = Reply::json(200, body);
    testing::ScriptedServer server([&](const auto&) { return reply; },
                                   testing::ScriptedServer::Tls{leaf, ""});
    const auto port = server.port();
    if (write(pipes[1], &port, sizeof port) != sizeof port) {
      _exit(1);
    }
    for (;;) {
      pause();
    }
  }
  std::uint16_t port = 0;
  if (read(pipes[0], &port, sizeof port) != sizeof port) {
    return 1;
  }
  std::unique_ptr<Transport> transport;
  if (kind == "pooled") {
    TlsMaterial material;
    material.ca = authority.certificate;
    const TlsContext tls{*make_tls_context(material), 1};
    TransportOptions options;
    options.endpoint = {"127.0.0.1", port, true, ""};
    options.authority = fmt::format("127.0.0.1:{}", port);
    options.tls = [tls] { return tls; };
    transport = make_pooled_transport(std::move(options));
  } else {
    WebOptions options;
    options.base_url = fmt::format("https://127.0.0.1:{}", port);
    options.extra_ca = authority.certificate;
    options.system_trust = false;
    transport = make_web_transport(std::move(options));
  }
  HttpRequest request;
  request.target = "/api/v1/namespaces/default/configmaps/a";
  request.headers = {{"Accept", "application/json"},
                     {"Authorization", "Bearer " + std::string(900, 't')}};
  if (patch) {
    request.method = Method::Patch;
    request.headers.emplace_back("Content-Type", "application/apply-patch+yaml");
    request.body = std::string(1500, 'y');
  }
  const auto one = [&] {
    auto mine = request;
    mine.deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto answer = transport->send(mine);
    if (!answer || answer->status != 200) {
      fmt::print(stderr, "failed: {}\n", answer ? "status" : answer.error().message);
      std::_Exit(1);
    }
  };
  one();
  const double before = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      for (int i = 0; i < requests / threads; ++i) {
        one();
      }
    });
  }
  for (auto& worker : workers) {
    worker.join();
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  fmt::print("{} threads={} {} cpu_us={:.0f} wall_us={:.0f}\n", kind, threads,
             patch ? "PATCH" : "GET", (cpu_seconds() - before) * 1e6 / requests,
             wall.count() * 1e6 / requests);
  transport.reset();
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  return 0;
}
