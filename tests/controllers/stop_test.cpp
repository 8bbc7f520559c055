// How a manager stops while the API server swallows requests: real clients, real time.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "controllers/manager.hpp"
#include "kube/make_client.hpp"
#include "kube/transports.hpp"
#include "tests/kube/scripted_server.hpp"

namespace gobuildenv::controllers {
namespace {

using kube::testing::RecordedRequest;
using kube::testing::Reply;
using kube::testing::ScriptedServer;
using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Found = webhooks::EnvironmentLookup::Found;

/// A list and a write may take 60 and 30 s, each more than any stop that works.
constexpr seconds kBound{20};

bool eventually(const std::function<bool()>& holds) {
  const auto until = std::chrono::steady_clock::now() + seconds(30);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool about_leases(const RecordedRequest& request) { return has(request.target, "/leases"); }
/// Of everything but the Lease.
bool writes(const RecordedRequest& request) {
  return request.method != "GET" && !about_leases(request);
}
bool streams_lists(const RecordedRequest& request) {
  return has(request.target, "sendInitialEvents");
}
bool watches(const RecordedRequest& request) {
  return has(request.target, "watch=") && !streams_lists(request);
}
bool lists(const RecordedRequest& request) {
  static const std::set<std::string> kinds{"configmaps",   "csidrivers", "gobuildenvs",
                                           "gonodecaches", "namespaces", "pods"};
  const std::string path = request.target.substr(0, request.target.find('?'));
  return request.method == "GET" && kinds.contains(path.substr(path.rfind('/') + 1));
}

class StopTest : public ::testing::Test {
 protected:
  /// What is never answered, until `well_`. Asked on the server's threads.
  using Swallows = std::function<bool(const RecordedRequest&)>;

  void start(Swallows swallows) {
    server_ = std::make_unique<ScriptedServer>(
        [this, swallows = std::move(swallows)](const RecordedRequest& request) {
          if (!well_ && swallows(request)) return Reply::black_hole();
          return answer(request);
        });
    kube::TransportOptions transport;
    transport.endpoint = {"127.0.0.1", server_->port(), false, ""};
    transport.authority = "api.example";
    parts_.transport = kube::make_pooled_transport(transport);
    parts_.streams = kube::make_stream_transport(transport);
    ManagerOptions options;
    options.own_namespace = "system";
    options.identity = "test";
    options.certificates = CertificateMode::Files;
    options.stop_grace = grace_;
    manager_ = std::make_unique<Manager>(
        options, ManagerEdges{[this](kube::WriteFence fence, kube::RequestStop* stop) {
                                kube::ClientOptions client;
                                client.clock = &clock_;
                                client.fence = std::move(fence);
                                client.stop = stop;
                                client.count = [this](const auto& code, const auto& method, auto&) {
                                  if (code == "<error>" && method != "GET") ++unanswered_writes_;
                                };
                                return kube::make_client(parts_, std::move(client));
                              },
                              clock_, metrics_, kube::make_random()});
    manager_->start();
  }
  ~StopTest() override { well_ = true; }

  /// As much of an API server as a manager with one environment asks for.
  static Reply answer(const RecordedRequest& request) {
    if (about_leases(request)) {
      if (request.method == "GET") return refusal(404, "NotFound");
      json lease = json::parse(request.body);
      lease["metadata"]["resourceVersion"] = "7";
      return Reply::json(request.method == "POST" ? 201 : 200, lease.dump());
    }
    if (streams_lists(request)) return refusal(422, "Invalid");
    if (watches(request)) return Reply::stream().hold();
    if (writes(request)) {
      json object = json::parse(request.body);
      object["metadata"]["resourceVersion"] = "8";
      object["metadata"]["uid"] = "b7a2c1de-0000-4000-8000-000000000002";
      return Reply::json(request.method == "POST" ? 201 : 200, object.dump());
    }
    if (!lists(request)) return refusal(404, "NotFound");
    json list{{"metadata", {{"resourceVersion", "5"}}}, {"items", json::array()}};
    if (has(request.target, "/gobuildenvs?")) {
      list["items"].push_back({{"metadata",
                                {{"name", "app"},
                                 {"namespace", "ns"},
                                 {"uid", "b7a2c1de-0000-4000-8000-000000000001"},
                                 {"resourceVersion", "4"},
                                 {"generation", 1}}},
                               {"spec", {{"toolchain", {{"version", "1.22.3"}}}}}});
    }
    return Reply::json(200, list.dump());
  }
  static Reply refusal(int code, const std::string& reason) {
    return Reply::json(
        code,
        json{{"kind", "Status"}, {"code", code}, {"reason", reason}, {"message", reason}}.dump());
  }

  std::size_t count(bool (*which)(const RecordedRequest&)) {
    std::size_t out = 0;
    for (const RecordedRequest& request : server_->requests()) out += which(request) ? 1U : 0U;
    return out;
  }
  /// Requests that are not about the Lease.
  std::size_t others() {
    return count([](const RecordedRequest& request) { return !about_leases(request); });
  }

  /// Of the Lease, as last written.
  std::string holder() {
    std::string out;
    for (const RecordedRequest& request : server_->requests()) {
      if (!about_leases(request) || request.method == "GET") continue;
      out = json::parse(request.body)["spec"]["holderIdentity"];
    }
    return out;
  }

  void stop_controllers() {
    const auto began = std::chrono::steady_clock::now();
    manager_->stop_controllers();
    EXPECT_LT(std::chrono::steady_clock::now() - began, kBound);
  }

  kube::RealClock clock_;
  kube::Metrics metrics_;
  kube::ClientParts parts_;
  std::atomic<bool> well_{false};
  std::atomic<int> unanswered_writes_{0};
  milliseconds grace_{200};
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<Manager> manager_;
};

TEST_F(StopTest, AWriteThatIsSwallowedIsCutOffBeforeTheLeaseIsGivenBack) {
  start(writes);
  ASSERT_TRUE(eventually([this] { return count(writes) > 0; }));
  stop_controllers();
  EXPECT_EQ(holder(), "test") << "it leads until nobody works any more";
  manager_->release_lease();
  EXPECT_EQ(holder(), "");
  manager_.reset();
  EXPECT_EQ(holder(), "");
  EXPECT_EQ(count(writes), 1U) << "nothing was begun after the write that is cut off";
}

TEST_F(StopTest, ListsThatAreSwallowedEndAndAdmissionReadsOn) {
  start([](const RecordedRequest&) { return true; });
  ASSERT_TRUE(eventually([this] { return others() > 3; }));
  stop_controllers();
  well_ = true;
  EXPECT_EQ(manager_->lookup().find("ns", "app").found, Found::No)
      << "the webhook drains, and asks the API server itself";
  manager_->release_lease();
  EXPECT_EQ(count(about_leases), 0U) << "it never led";
}

TEST_F(StopTest, WatchesWhoseOpeningIsSwallowedEnd) {
  start(watches);
  ASSERT_TRUE(eventually([this] { return manager_->synced() && count(watches) > 5; }));
  stop_controllers();
}

TEST_F(StopTest, WorkersFinishWhatTheyHold) {
  grace_ = seconds(60);
  start([](const RecordedRequest& request) {
    if (writes(request)) std::this_thread::sleep_for(milliseconds(50));
    return false;
  });
  ASSERT_TRUE(eventually([this] { return count(writes) > 0; }));
  stop_controllers();
  const auto about_status = [](const RecordedRequest& request) {
    return writes(request) && has(request.target, "/status");
  };
  EXPECT_EQ(count(about_status), 1U) << "the ConfigMap was made: status says so";
  EXPECT_EQ(unanswered_writes_, 0);
}

}  // namespace
}  // namespace gobuildenv::controllers
