#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "kube/informer.hpp"
#include "kube/make_client.hpp"
#include "kube/object_meta.hpp"
#include "tests/kube/fake_client.hpp"
#include "tests/kube/scripted_server.hpp"
#include "tests/kube/temp_folder.hpp"

/// Credentials that are others when a watch is opened again: the whole way from files to server.
namespace gobuildenv::kube {
namespace {

using std::chrono::seconds;
using testing::event_line;
using testing::list_json;
using testing::object_json;
using testing::RecordedRequest;
using testing::Reply;
using testing::ScriptedServer;

/// The kernel's clock, which the sockets' deadlines need, and steps ahead of it.
class StepClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return real_.now() + ahead(); }
  [[nodiscard]] Duration boot_time() const noexcept override { return real_.boot_time() + ahead(); }
  [[nodiscard]] std::chrono::system_clock::time_point wall_now() const noexcept override {
    return real_.wall_now() + ahead();
  }
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                  TimePoint until) override {
    real_.wait_until(lock, wake, until - ahead());
  }
  void step(Duration by) { ahead_ += by.count(); }

 private:
  [[nodiscard]] Duration ahead() const noexcept { return Duration(ahead_.load()); }

  RealClock real_;
  std::atomic<Duration::rep> ahead_{0};
};

tl::expected<Decoded<std::string>, std::string> decode_name(std::string_view json) {
  auto identity = decode_identity(json);
  if (!identity) return tl::unexpected(identity.error());
  const ObjectMeta& meta = identity->meta;
  return Decoded<std::string>{meta, std::make_shared<const std::string>(meta.key.name)};
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 30'000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(Rotation, AWatchGoesOnWithTheNextTokenCertificateAndAuthority) {
  const testing::TempFolder folder;
  std::atomic<bool> rotated{false};
  // Each has its own authority, for the server's certificate and for the client's.
  const auto rotate_files = [&folder](const testing::Issued& authority, const char* token) {
    const auto client = testing::issue(authority, "client", {});
    folder.write("ca.crt", authority.certificate);
    folder.write("tls.crt", client.certificate);
    folder.write("tls.key", client.key);
    folder.write("token", token);
    return ScriptedServer::Tls{testing::issue(authority, "server", {"IP:127.0.0.1"}),
                               authority.certificate};
  };
  ScriptedServer server(
      [&rotated](const RecordedRequest& request) {
        if (request.header("authorization") != (rotated ? "Bearer two" : "Bearer one")) {
          return Reply::json(401, R"({"kind":"Status","reason":"Unauthorized","code":401})");
        }
        if (request.target.find("watch=") == std::string::npos) {
          return Reply::json(200, list_json("10", {}));
        }
        const auto object = rotated ? object_json("ns", "after", "u2", "12")
                                    : object_json("ns", "before", "u1", "11");
        return Reply::stream().chunk(event_line("ADDED", object)).hold();
      },
      rotate_files(testing::make_authority("first"), "one"));
  ClusterConfig config;
  config.origin = "test";
  config.server = *parse_url(server.url());
  config.ca.file = folder.path("ca.crt");
  config.certificate.file = folder.path("tls.crt");
  config.key.file = folder.path("tls.key");
  config.token_file = folder.path("token");

  StepClock clock;
  auto parts = make_client_parts(config, clock);
  ASSERT_TRUE(parts) << parts.error().text();
  ClientOptions client_options;
  client_options.clock = &clock;
  const auto client = make_client(*parts, client_options);
  InformerOptions options;
  options.type = {"", "v1", "things", "Thing", true};
  options.watch.streaming_list = false;
  Informer<std::string> informer({*client, clock, [] { return 0.0; }}, options, decode_name);
  informer.start();
  EXPECT_TRUE(eventually([&] { return informer.get({"ns", "before"}) != nullptr; }));

  const auto next = rotate_files(testing::make_authority("second"), "two");
  // The certificates are due to be looked at again, the token is not: it takes a 401.
  clock.step(seconds(6));
  rotated = true;
  server.use_certificate(next);
  server.drop_connections();
  EXPECT_TRUE(eventually([&] { return informer.get({"ns", "after"}) != nullptr; }));
  EXPECT_NE(informer.get({"ns", "before"}), nullptr);
  informer.request_stop();
  informer.join();

  int lists = 0;
  int watches_with_one = 0;
  for (const RecordedRequest& request : server.requests()) {
    if (request.target.find("watch=") == std::string::npos) {
      ++lists;
    } else if (request.header("authorization") == "Bearer one") {
      ++watches_with_one;
    }
  }
  EXPECT_EQ(lists, 1) << "nothing was lost, so nothing is listed anew";
  EXPECT_LE(watches_with_one, 2) << "one 401 is enough";
  EXPECT_EQ(server.requests().back().header("authorization"), "Bearer two");
  EXPECT_NE(server.requests().back().target.find("resourceVersion=11"), std::string::npos);
}

}  // namespace
}  // namespace gobuildenv::kube
