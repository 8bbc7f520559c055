#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "kube/health.hpp"
#include "kube/http_server.hpp"
#include "kube/metrics.hpp"

namespace gobuildenv::kube {
namespace {

/// Sends `request` and reads until the server closes.
std::string talk(std::uint16_t port, const std::string& request) {
  namespace asio = boost::asio;
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  socket.connect({asio::ip::make_address("127.0.0.1"), port});
  asio::write(socket, asio::buffer(request));
  std::string answer;
  boost::system::error_code error;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

std::string get(std::uint16_t port, const std::string& target, const std::string& method = "GET") {
  return talk(port, method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
}

TEST(Health, AnswersAsComponentsDo) {
  HealthChecks checks("readyz");
  EXPECT_EQ(checks.answer("/readyz").status, 200);
  bool ready = false;
  checks.add("ping", [] { return std::nullopt; });
  checks.add("caches", [&]() -> std::optional<std::string> {
    if (ready) return std::nullopt;
    return "pods not synced";
  });
  struct Case {
    const char* target;
    int unready;
    int ready;
  };
  for (const bool now_ready : {false, true}) {
    ready = now_ready;
    for (const auto& entry :
         {Case{"/readyz", 500, 200}, Case{"/readyz/", 500, 200}, Case{"/readyz?verbose", 500, 200},
          Case{"/readyz/ping", 200, 200}, Case{"/readyz/caches", 500, 200},
          Case{"/readyz/none", 404, 404}, Case{"/readyz?exclude=caches", 200, 200},
          Case{"/healthz", 404, 404}, Case{"/other/ping", 404, 404}}) {
      EXPECT_EQ(checks.answer(entry.target).status, now_ready ? entry.ready : entry.unready)
          << entry.target;
    }
  }
  EXPECT_EQ(checks.answer("/readyz").body, "ok");
  EXPECT_EQ(checks.answer("/readyz?verbose=1").body,
            "[+]ping ok\n[+]caches ok\nreadyz check passed\n");
  ready = false;
  EXPECT_EQ(checks.answer("/readyz").body,
            "[+]ping ok\n[-]caches failed: pods not synced\nreadyz check failed\n");
}

TEST(Metrics, KeepTheNamesOfDashboards) {
  Metrics metrics;
  const auto reconcile = metrics.reconcile("c");
  reconcile.success.add();
  reconcile.seconds.observe(0.2);
  metrics.work_queue("c").adds.add();
  metrics.webhook("/mutate").latency_seconds.observe(0.00004);
  metrics.webhook_requests("/mutate", 200).add();
  metrics.count_request("200", "GET", "api.example:443");
  metrics.leader("lease").set(1);
  metrics.certificate_reads().add();
  metrics.certificate_read_errors();
  metrics.informer("pods").objects.set(3);
  const auto text = metrics.text();
  for (const char* line :
       {"controller_runtime_reconcile_total{controller=\"c\",result=\"success\"} 1",
        "controller_runtime_reconcile_total{controller=\"c\",result=\"requeue_after\"} 0",
        "controller_runtime_reconcile_errors_total{controller=\"c\"} 0",
        "controller_runtime_reconcile_time_seconds_bucket{controller=\"c\",le=\"0.2\"} 1",
        "controller_runtime_active_workers{controller=\"c\"} 0",
        "controller_runtime_max_concurrent_reconciles{controller=\"c\"} 0",
        "workqueue_depth{controller=\"c\",name=\"c\"} 0",
        "workqueue_adds_total{controller=\"c\",name=\"c\"} 1",
        "workqueue_queue_duration_seconds_count{controller=\"c\",name=\"c\"} 0",
        "workqueue_work_duration_seconds_count{controller=\"c\",name=\"c\"} 0",
        "workqueue_unfinished_work_seconds{controller=\"c\",name=\"c\"} 0",
        "workqueue_longest_running_processor_seconds{controller=\"c\",name=\"c\"} 0",
        "workqueue_retries_total{controller=\"c\",name=\"c\"} 0",
        "controller_runtime_webhook_latency_seconds_bucket{webhook=\"/mutate\",le=\"5e-05\"} 1",
        "controller_runtime_webhook_requests_total{code=\"200\",webhook=\"/mutate\"} 1",
        "controller_runtime_webhook_requests_in_flight{webhook=\"/mutate\"} 0",
        "rest_client_requests_total{code=\"200\",host=\"api.example:443\",method=\"GET\"} 1",
        "leader_election_master_status{name=\"lease\"} 1",
        "certwatcher_read_certificate_total 1",
        "certwatcher_read_certificate_errors_total 0",
        "gobuildenv_informer_objects{resource=\"pods\"} 3"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nin\n" << text;
  }
}

TEST(Metrics, CollectorRunsUntilItsRegistrationEnds) {
  Metrics metrics;
  int calls = 0;
  {
    const auto registration = metrics.add_collector([&] { ++calls; });
    static_cast<void>(metrics.text());
    EXPECT_EQ(calls, 1);
  }
  static_cast<void>(metrics.text());
  EXPECT_EQ(calls, 1);
}

TEST(HttpServer, ServesGetAndHeadAndRefusesTheRest) {
  auto server = HttpServer::start({"127.0.0.1", 0, 4}, [](std::string_view target) -> HttpAnswer {
    if (target == "/throw") throw std::runtime_error("handler");
    return {target == "/metrics" ? 200 : 404, "text/x", "body of " + std::string(target)};
  });
  ASSERT_TRUE(server) << server.error();
  const auto port = (*server)->port();
  const auto good = get(port, "/metrics");
  EXPECT_TRUE(good.starts_with("HTTP/1.1 200 OK\r\n")) << good;
  EXPECT_NE(good.find("Content-Type: text/x\r\n"), std::string::npos);
  EXPECT_TRUE(good.ends_with("\r\n\r\nbody of /metrics"));
  const auto head = get(port, "/metrics", "HEAD");
  EXPECT_NE(head.find("Content-Length: 16\r\n"), std::string::npos) << head;
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  struct Case {
    std::string request;
    const char* status;
  };
  const std::string end = "Connection: close\r\n\r\n";
  for (const auto& [request, status] :
       {Case{"GET /x HTTP/1.1\r\n" + end, "HTTP/1.1 404"},
        Case{"GET /throw HTTP/1.1\r\n" + end, "HTTP/1.1 500"},
        Case{"DELETE /metrics HTTP/1.1\r\n" + end, "HTTP/1.1 405"},
        Case{"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n" + end + "abc", "HTTP/1.1 413"},
        Case{"GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n" + end, "HTTP/1.1 431"}}) {
    const auto answer = talk(port, request);
    EXPECT_TRUE(answer.starts_with(status)) << request.substr(0, 40) << answer;
  }
  EXPECT_EQ(talk(port, "nonsense\r\n\r\n"), "");
  EXPECT_TRUE(get(port, "/metrics").starts_with("HTTP/1.1 200")) << "still there";
}

TEST(HttpServer, NamesWhatItCannotBind) {
  const auto bad = HttpServer::start({"not-an-address", 0, 4}, nullptr);
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().find("not-an-address"), std::string::npos);
  const auto handler = [](std::string_view) { return HttpAnswer{}; };
  const auto first = HttpServer::start({"127.0.0.1", 0, 4}, handler);
  ASSERT_TRUE(first);
  const auto port = (*first)->port();
  const auto second = HttpServer::start({"127.0.0.1", port, 4}, handler);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().find(std::to_string(port)), std::string::npos) << second.error();
}

}  // namespace
}  // namespace gobuildenv::kube
