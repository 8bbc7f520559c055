#include "kube/credentials.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "kube/exec_plugin.hpp"
#include "kube/make_client.hpp"
#include "kube/subprocess.hpp"
#include "tests/kube/scripted_server.hpp"
#include "tests/kube/temp_folder.hpp"

namespace gobuildenv::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

Deadline in(milliseconds time) { return std::chrono::steady_clock::now() + time; }

std::string token_of(const AuthHeaders& auth) {
  return std::string(header_value(auth.headers, "authorization"));
}

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() {
    config_.origin = "test";
    config_.server.host = "api.example";
    config_.insecure = true;
  }
  std::unique_ptr<Credentials> make() {
    auto made = make_credentials(config_, clock_);
    EXPECT_TRUE(made) << made.error().text();
    return *std::move(made);
  }
  void plugin(const std::string& body) {
    config_.exec.emplace();
    config_.exec->api_version = "client.authentication.k8s.io/v1";
    config_.exec->command = folder_.script("plugin", body);
  }
  static std::string prints(const std::string& status) {
    return "echo run >> \"$0.runs\"\ncat <<'END'\n{\"kind\":\"ExecCredential\",\"apiVersion\":"
           "\"client.authentication.k8s.io/v1\",\"status\":" +
           status + "}\nEND\n";
  }
  /// Of a status, in JSON.
  static std::string pair_of(const testing::Issued& issued) {
    const auto text = [](std::string pem) {
      for (std::size_t at = 0; (at = pem.find('\n', at)) != std::string::npos; ++at) {
        pem.replace(at, 1, "\\n");
      }
      return "\"" + pem + "\"";
    };
    return "\"clientCertificateData\":" + text(issued.certificate) +
           ",\"clientKeyData\":" + text(issued.key);
  }
  int runs() {
    std::ifstream file(folder_.path("plugin.runs"));
    return static_cast<int>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
  }

  FakeClock clock_;
  testing::TempFolder folder_;
  ClusterConfig config_;
};

TEST_F(CredentialsTest, RereadsTheTokenEveryMinute) {
  config_.token_file = folder_.write("token", "one\n");
  auto credentials = make();
  EXPECT_EQ(token_of(*credentials->headers(in(seconds(5)))), "Bearer one");
  folder_.write("token", "two\n");
  clock_.advance(seconds(59));
  EXPECT_EQ(token_of(*credentials->headers(in(seconds(5)))), "Bearer one");
  clock_.advance(seconds(1));
  EXPECT_EQ(token_of(*credentials->headers(in(seconds(5)))), "Bearer two");
}

TEST_F(CredentialsTest, RereadsTheTokenAfter401) {
  config_.token_file = folder_.write("token", "one");
  auto credentials = make();
  const auto before = *credentials->headers(in(seconds(5)));
  EXPECT_FALSE(credentials->refresh(before.generation, in(seconds(5)))) << "nothing has changed";
  folder_.write("token", "two");
  EXPECT_TRUE(credentials->refresh(before.generation, in(seconds(5))));
  EXPECT_EQ(token_of(*credentials->headers(in(seconds(5)))), "Bearer two");
  EXPECT_TRUE(credentials->refresh(before.generation, in(seconds(5))))
      << "the 401 of an old token, after another thread has read the new one";
}

TEST_F(CredentialsTest, RereadsAfter401AlsoWhereCertificatesHaveJustBeenReread) {
  config_.insecure = false;
  config_.ca.file = folder_.write("ca.crt", testing::make_authority("ca").certificate);
  config_.token_file = folder_.write("token", "one");
  auto credentials = make();
  const auto first = credentials->tls()->generation;
  const auto before = *credentials->headers(in(seconds(5)));
  folder_.write("ca.crt", testing::make_authority("next").certificate);
  folder_.write("token", "two");
  clock_.advance(seconds(6));
  EXPECT_GT(credentials->tls()->generation, first) << "between the headers and the handshake";
  EXPECT_TRUE(credentials->refresh(before.generation, in(seconds(5))));
  EXPECT_EQ(token_of(*credentials->headers(in(seconds(5)))), "Bearer two");

  // So for a plugin, which is asked once for all who got the 401.
  config_.token_file.clear();
  plugin(
      "printf '{\"kind\":\"ExecCredential\",\"apiVersion\":"
      "\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"%s\"}}' "
      "\"$(echo run >> \"$0.runs\"; wc -l < \"$0.runs\")\"\n");
  credentials = make();
  const auto plugged = *credentials->headers(in(seconds(20)));
  EXPECT_EQ(token_of(plugged), "Bearer 1");
  folder_.write("ca.crt", testing::make_authority("last").certificate);
  clock_.advance(seconds(6));
  ASSERT_TRUE(credentials->tls());
  EXPECT_TRUE(credentials->refresh(plugged.generation, in(seconds(20))));
  EXPECT_TRUE(credentials->refresh(plugged.generation, in(seconds(20))));
  EXPECT_EQ(token_of(*credentials->headers(in(seconds(20)))), "Bearer 2");
  EXPECT_EQ(runs(), 2);
}

TEST_F(CredentialsTest, KeepsTheTokenWhileItsFileIsGoneOrEmpty) {
  config_.token_file = folder_.write("token", "one");
  auto credentials = make();
  for (const auto& change :
       {std::function<void()>([&] { folder_.write("token", ""); }),
        std::function<void()>([&] { std::filesystem::remove(folder_.path("token")); })}) {
    change();
    clock_.advance(seconds(61));
    EXPECT_EQ(token_of(*credentials->headers(in(seconds(5)))), "Bearer one");
  }
}

TEST_F(CredentialsTest, AMissingTokenAtTheStartIsAnError) {
  config_.token_file = folder_.path("absent");
  const auto made = make_credentials(config_, clock_);
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().text(), HasSubstr(folder_.path("absent")));
}

TEST_F(CredentialsTest, BasicAndImpersonation) {
  config_.username = "me";
  config_.password = "pw";
  config_.impersonate = "bob";
  config_.impersonate_uid = "7";
  config_.impersonate_groups = {"a", "b"};
  const auto auth = *make()->headers(in(seconds(5)));
  EXPECT_EQ(token_of(auth), "Basic bWU6cHc=");
  EXPECT_EQ(header_value(auth.headers, "impersonate-user"), "bob");
  EXPECT_EQ(header_value(auth.headers, "impersonate-uid"), "7");
  EXPECT_EQ(auth.headers.size(), 5U);
}

TEST_F(CredentialsTest, ImpersonatesExtraValuesUnderEscapedNames) {
  config_.impersonate = "bob";
  config_.impersonate_extra = {{"example.com/Scope", {"read", "write"}},
                               {"100% é", {"yes"}},
                               {"!#$&'*+-.^_`|~", {"plain"}},
                               {"none", {}}};
  const auto auth = *make()->headers(in(seconds(5)));
  EXPECT_THAT(auth.headers,
              UnorderedElementsAre(Pair("Impersonate-User", "bob"),
                                   Pair("Impersonate-Extra-100%25%20%C3%A9", "yes"),
                                   Pair("Impersonate-Extra-!#$&'*+-.^_`|~", "plain"),
                                   Pair("Impersonate-Extra-example.com%2FScope", "read"),
                                   Pair("Impersonate-Extra-example.com%2FScope", "write")));
}

TEST_F(CredentialsTest, AHalfWrittenCertificateIsNotUsed) {
  const auto authority = testing::make_authority("ca");
  const auto one = testing::issue(authority, "one", {});
  const auto two = testing::issue(authority, "two", {});
  config_.insecure = false;
  config_.ca.file = folder_.write("ca.crt", authority.certificate);
  config_.certificate.file = folder_.write("tls.crt", one.certificate);
  config_.key.file = folder_.write("tls.key", one.key);
  auto credentials = make();
  const TlsContext first = *credentials->tls();

  folder_.write("tls.crt", two.certificate.substr(0, 80));
  clock_.advance(seconds(6));
  EXPECT_EQ(credentials->tls()->generation, first.generation);
  folder_.write("tls.crt", two.certificate);  // the key is still the old one
  clock_.advance(seconds(6));
  EXPECT_EQ(credentials->tls()->generation, first.generation);
  folder_.write("tls.key", two.key);
  clock_.advance(seconds(6));
  const TlsContext second = *credentials->tls();
  EXPECT_GT(second.generation, first.generation);
  EXPECT_NE(second.ctx, first.ctx);

  folder_.write("ca.crt", "");
  clock_.advance(seconds(6));
  EXPECT_EQ(credentials->tls()->generation, second.generation);
}

TEST_F(CredentialsTest, FilesAreLookedAtEveryFiveSecondsOnly) {
  const auto authority = testing::make_authority("ca");
  config_.insecure = false;
  config_.ca.file = folder_.write("ca.crt", authority.certificate);
  auto credentials = make();
  clock_.advance(seconds(6));
  const auto first = credentials->tls()->generation;
  folder_.write("ca.crt", testing::make_authority("next").certificate);
  clock_.advance(seconds(4));
  EXPECT_EQ(credentials->tls()->generation, first);
  clock_.advance(seconds(2));
  EXPECT_GT(credentials->tls()->generation, first);
}

TEST_F(CredentialsTest, RunsThePluginOnceUntilItsCredentialExpires) {
  // FakeClock's wall time is ten minutes before that.
  plugin(prints(R"({"token":"from-plugin","expirationTimestamp":"2025-06-15T15:16:40Z"})"));
  auto credentials = make();
  EXPECT_EQ(runs(), 0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(token_of(*credentials->headers(in(seconds(20)))), "Bearer from-plugin");
  }
  EXPECT_EQ(runs(), 1);
  clock_.advance(seconds(595));
  EXPECT_TRUE(credentials->headers(in(seconds(20))));
  EXPECT_EQ(runs(), 2);
}

TEST_F(CredentialsTest, ThePluginsCertificateIsShownUntilItExpires) {
  const auto authority = testing::make_authority("ca");
  const auto leaf = testing::issue(authority, "server", {"IP:127.0.0.1"});
  // Two of clients, so that the server can tell which certificate it was shown.
  const auto first = testing::make_authority("first");
  const auto second = testing::make_authority("second");
  const testing::ScriptedServer::Tls demands_first{leaf, first.certificate};
  const testing::ScriptedServer::Tls demands_second{leaf, second.certificate};
  testing::ScriptedServer server(
      [](const testing::RecordedRequest&) { return testing::Reply::json(200, "{}"); },
      demands_first);
  config_.server = *parse_url(server.url());
  config_.insecure = false;
  config_.ca.file = folder_.write("ca.crt", authority.certificate);
  plugin(prints("{" + pair_of(testing::issue(first, "me", {})) +
                R"(,"expirationTimestamp":"2025-06-15T15:16:40Z"})"));
  const auto parts = make_client_parts(config_, clock_);
  ASSERT_TRUE(parts) << parts.error().text();
  const auto answer = [&]() -> std::string {
    const auto auth = parts->credentials->headers(in(seconds(20)));
    if (!auth) return auth.error().text();
    EXPECT_EQ(token_of(*auth), "");
    HttpRequest request;
    request.target = "/a";
    request.headers = auth->headers;
    request.deadline = in(seconds(20));
    const auto got = parts->transport->send(request);
    return got ? got->body : got.error().message;
  };
  const auto generation = [&] { return parts->credentials->tls()->generation; };
  const auto at_start = generation();
  EXPECT_EQ(answer(), "{}");
  const auto with_first = generation();
  EXPECT_GT(with_first, at_start);
  EXPECT_EQ(answer(), "{}");
  EXPECT_EQ(generation(), with_first);
  EXPECT_EQ(server.connections(), 1U);
  EXPECT_EQ(runs(), 1);

  server.use_certificate(demands_second);
  plugin(prints("{" + pair_of(testing::issue(second, "me", {})) + "}"));
  clock_.advance(seconds(595));
  EXPECT_EQ(answer(), "{}");
  EXPECT_GT(generation(), with_first);
  EXPECT_EQ(server.connections(), 2U) << "the former connection is somebody else's";
  EXPECT_EQ(runs(), 2);
}

TEST_F(CredentialsTest, ThreadsWaitForOneRunOfThePlugin) {
  plugin("sleep 0.2\n" + prints(R"({"token":"t"})"));
  auto credentials = make();
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      auto auth = credentials->headers(in(seconds(20)));
      good += auth && token_of(*auth) == "Bearer t" ? 1 : 0;
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(good, 4);
  EXPECT_EQ(runs(), 1);
}

TEST_F(CredentialsTest, APluginThatHangsIsKilledWithItsChildren) {
  plugin("sleep 1000 & echo $! > \"$0.pid\"\nwait\n");
  auto credentials = make();
  const auto auth = credentials->headers(in(milliseconds(300)));
  ASSERT_FALSE(auth);
  EXPECT_THAT(auth.error().text(), HasSubstr("did not end in time"));
  std::ifstream file(folder_.path("plugin.pid"));
  pid_t child = 0;
  file >> child;
  ASSERT_GT(child, 0);
  // The grandchild is init's to reap; it is dead or a zombie at once.
  for (int i = 0; i < 100; ++i) {
    std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
    std::string id;
    std::string name;
    std::string state;
    if (!(stat >> id >> name >> state) || state == "Z") {
      return;
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  ADD_FAILURE() << "the plugin's child still runs";
}

struct PluginCase {
  const char* name;
  std::string body;
  std::string says;
};

class BadPlugin : public CredentialsTest, public ::testing::WithParamInterface<PluginCase> {};

TEST_P(BadPlugin, IsAnErrorWithoutItsOutput) {
  plugin(GetParam().body);
  const auto auth = make()->headers(in(seconds(20)));
  ASSERT_FALSE(auth);
  EXPECT_THAT(auth.error().text(), HasSubstr(GetParam().says));
  EXPECT_THAT(auth.error().text(), HasSubstr("plugin"));
  EXPECT_THAT(auth.error().text(), Not(HasSubstr("s3cret")));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadPlugin,
    ::testing::Values(
        PluginCase{"Fails", "echo s3cret\nexit 3\n", "exit code 3"},
        PluginCase{"Signal", "kill -9 $$\n", "exit code 137"},
        PluginCase{"Nothing", "true\n", "not an ExecCredential"},
        PluginCase{"Text", "echo s3cret\n", "not an ExecCredential"},
        PluginCase{"OtherVersion",
                   "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s."
                   "io/v1beta1\",\"status\":{\"token\":\"s3cret\"}}'\n",
                   "apiVersion client.authentication.k8s.io/v1"},
        PluginCase{"NoStatus",
                   "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":"
                   "\"client.authentication.k8s.io/v1\"}'\n",
                   "no status"},
        PluginCase{"Empty",
                   "cat <<'END'\n{\"kind\":\"ExecCredential\",\"apiVersion\":"
                   "\"client.authentication.k8s.io/v1\",\"status\":{}}\nEND\n",
                   "neither a token"},
        PluginCase{"HalfACertificate",
                   "cat <<'END'\n{\"kind\":\"ExecCredential\",\"apiVersion\":"
                   "\"client.authentication.k8s.io/v1\",\"status\":{\"clientKeyData\":\"s3cret\"}}"
                   "\nEND\n",
                   "only one of"},
        PluginCase{"BadTime",
                   "cat <<'END'\n{\"kind\":\"ExecCredential\",\"apiVersion\":"
                   "\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"s3cret\","
                   "\"expirationTimestamp\":\"tomorrow\"}}\nEND\n",
                   "expirationTimestamp"},
        PluginCase{"Endless", "while :; do echo s3cret s3cret s3cret; done\n", "more than"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_F(CredentialsTest, AMissingPluginShowsTheInstallHint) {
  plugin("true\n");
  config_.exec->command = "no-such-plugin-here";
  config_.exec->install_hint = "get it from your cloud";
  const auto auth = make()->headers(in(seconds(20)));
  ASSERT_FALSE(auth);
  EXPECT_THAT(auth.error().text(), HasSubstr("get it from your cloud"));
}

TEST_F(CredentialsTest, ThePluginIsToldWhatItAskedFor) {
  plugin("printf '%s %s' \"$KUBERNETES_EXEC_INFO\" \"$MINE\" > \"$0.info\"\n" +
         prints(R"({"token":"t"})"));
  config_.exec->env = {{"MINE", "yes"}};
  config_.exec->provide_cluster_info = true;
  config_.server.port = 6443;
  ASSERT_TRUE(make()->headers(in(seconds(20))));
  std::ifstream file(folder_.path("plugin.info"));
  const std::string info((std::istreambuf_iterator<char>(file)), {});
  EXPECT_THAT(info, HasSubstr(R"("server":"https://api.example:6443")"));
  EXPECT_THAT(info, HasSubstr(R"("interactive":false)"));
  EXPECT_THAT(info, ::testing::EndsWith(" yes"));
}

TEST(Subprocess, DoesNotWaitForWhoInheritsItsOutput) {
  Command command;
  command.argv = {"sh", "-c", "sleep 1000 & echo done"};
  command.deadline = in(seconds(20));
  const auto output = run_command(command);
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(*output, "done\n");
}

/// The whole way: a server that wants another token, and a client that finds it in the file.
TEST(CredentialsAndClient, ARotatedTokenIsUsedAfterOne401) {
  const testing::TempFolder folder;
  const auto authority = testing::make_authority("ca");
  const auto leaf = testing::issue(authority, "server", {"IP:127.0.0.1"});
  testing::ScriptedServer server(
      [](const testing::RecordedRequest& request) {
        return request.header("authorization") == "Bearer two"
                   ? testing::Reply::json(200, "{}")
                   : testing::Reply::json(401, R"({"reason":"Unauthorized"})");
      },
      testing::ScriptedServer::Tls{leaf, ""});
  ClusterConfig config;
  config.origin = "test";
  config.server = *parse_url(server.url());
  config.ca.file = folder.write("ca.crt", authority.certificate);
  config.token_file = folder.write("token", "one");
  RealClock clock;
  auto parts = make_client_parts(config, clock);
  ASSERT_TRUE(parts) << parts.error().text();
  ClientOptions options;
  options.clock = &clock;
  auto client = make_client(*parts, options);
  EXPECT_EQ(client->get_raw("/a", in(seconds(20))).error().kind, Error::Kind::Forbidden);
  folder.write("token", "two");
  EXPECT_TRUE(client->get_raw("/a", in(seconds(20))));
  EXPECT_EQ(server.requests().size(), 3U);
}

}  // namespace
}  // namespace gobuildenv::kube
