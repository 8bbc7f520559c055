#include "kube/kubeconfig.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/base64.hpp"

namespace gobuildenv::kube {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kWhole = R"(
apiVersion: v1
kind: Config
current-context: c
preferences: {colors: true}
clusters:
- name: l
  cluster: {server: "https://api.example:6443/base/", certificate-authority: pki/ca.crt, tls-server-name: inner}
users:
- name: u
  user: {client-certificate-data: Y2VydA==, client-key: /abs/key, as: bob, as-groups: [dev, ops],
         as-uid: "7", as-user-extra: {example.com/Scope: [read, write], empty: []}}
contexts:
- name: c
  context: {cluster: l, user: u, namespace: ci}
)";

tl::expected<ClusterConfig, ConfigError> resolve_text(const std::string& text,
                                                      const std::string& context = "") {
  auto parsed = parse_kubeconfig(text, "/home/dev/.kube/config");
  if (!parsed) {
    return tl::unexpected(parsed.error());
  }
  return resolve_context(*parsed, context);
}

TEST(Kubeconfig, ResolvesPathsInlineDataAndNamespace) {
  const auto config = resolve_text(kWhole);
  ASSERT_TRUE(config) << config.error().text();
  EXPECT_EQ(config->server.host, "api.example");
  EXPECT_EQ(config->server.port, 6443);
  EXPECT_EQ(config->server.path, "/base");
  EXPECT_EQ(config->server_name, "inner");
  EXPECT_EQ(config->ca.file, "/home/dev/.kube/pki/ca.crt");
  EXPECT_EQ(config->certificate.data, "cert");
  EXPECT_EQ(config->key.file, "/abs/key");
  EXPECT_EQ(config->impersonate, "bob");
  EXPECT_EQ(config->impersonate_groups, (std::vector<std::string>{"dev", "ops"}));
  EXPECT_EQ(config->impersonate_uid, "7");
  EXPECT_EQ(config->impersonate_extra,
            (std::map<std::string, std::vector<std::string>>{
                {"empty", {}}, {"example.com/Scope", {"read", "write"}}}));
  EXPECT_EQ(config->ns, "ci");
}

TEST(Kubeconfig, ReadsExecPlugins) {
  const auto config = resolve_text(R"(
clusters: [{name: l, cluster: {server: "https://h"}}]
contexts: [{name: c, context: {cluster: l, user: u}}]
current-context: c
users:
- name: u
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: bin/login
      args: [get, token]
      env: [{name: A, value: b}, {name: EMPTY}]
      provideClusterInfo: true
      installHint: install it
)");
  ASSERT_TRUE(config) << config.error().text();
  ASSERT_TRUE(config->exec);
  EXPECT_EQ(config->exec->command, "/home/dev/.kube/bin/login");
  EXPECT_EQ(config->exec->args, (std::vector<std::string>{"get", "token"}));
  EXPECT_EQ(config->exec->env[0], (std::pair<std::string, std::string>{"A", "b"}));
  EXPECT_TRUE(config->exec->provide_cluster_info);
  EXPECT_EQ(config->ns, "default");
}

/// A kubeconfig around one user and one cluster.
std::string around(const std::string& user, const std::string& cluster = "server: 'https://h'") {
  return "current-context: c\nclusters: [{name: l, cluster: {" + cluster +
         "}}]\ncontexts: [{name: c, context: {cluster: l, user: u}}]\nusers: [{name: u, user: {" +
         user + "}}]\n";
}

TEST(Kubeconfig, ReachesTheServerThroughAProxy) {
  const auto config = resolve_text(
      around("token: t", "server: 'https://h', proxy-url: 'http://me:p%40ss@proxy.example:3128'"));
  ASSERT_TRUE(config) << config.error().text();
  ASSERT_TRUE(config->proxy);
  EXPECT_EQ(config->proxy->host, "proxy.example");
  EXPECT_EQ(config->proxy->port, 3128);
  EXPECT_EQ(config->proxy->authorization, "Basic bWU6cEBzcw==");
  EXPECT_EQ(config->server.host, "h");
}

struct BadCase {
  const char* name;
  std::string text;
  std::string field;  ///< named in the message
  std::string says;
};

class BadKubeconfig : public ::testing::TestWithParam<BadCase> {};

TEST_P(BadKubeconfig, NamesFileFieldAndFixButNoSecret) {
  const auto config = resolve_text(GetParam().text);
  ASSERT_FALSE(config);
  const std::string text = config.error().text();
  EXPECT_THAT(text, HasSubstr(GetParam().field));
  EXPECT_THAT(text, HasSubstr(GetParam().says));
  EXPECT_FALSE(config.error().fix.empty());
  EXPECT_THAT(text, Not(HasSubstr("s3cret")));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadKubeconfig,
    ::testing::Values(
        BadCase{"Torn", "users: [{name: u, user: {token: s3cret", "/home/dev/.kube/config",
                "not YAML at line 1"},
        BadCase{"NoObject", "- a\n- s3cret\n", "/home/dev/.kube/config", "not a kubeconfig"},
        BadCase{"Kind", "kind: Secret\n", "kind", "not Config"},
        BadCase{"NoContext", "clusters: []\n", "current-context", "--context"},
        BadCase{"UnknownContext", "current-context: x\ncontexts: [{name: a, context: {}}]\n",
                "contexts[x]", "there are: a"},
        BadCase{"UnknownCluster",
                "current-context: c\ncontexts: [{name: c, context: {cluster: gone}}]\n",
                "contexts[c].context.cluster", "no such cluster"},
        BadCase{"UnknownUser",
                "current-context: c\nclusters: [{name: l, cluster: {server: 'https://h'}}]\n"
                "contexts: [{name: c, context: {cluster: l, user: gone}}]\n",
                "contexts[c].context.user", "no such user"},
        BadCase{"Duplicate", "clusters: [{name: a, cluster: {}}, {name: a, cluster: {}}]\n",
                "clusters[a]", "two entries"},
        BadCase{"NoName", "users: [{user: {token: s3cret}}]\n", "users[0].name", "missing"},
        BadCase{"NotAList", "users: {a: s3cret}\n", "users", "not a list"},
        BadCase{"TokenIsAList", around("token: [s3cret]"), "users[u].user.token", "not a string"},
        BadCase{"BadBase64", around("client-certificate-data: 's3cret!', client-key: k"),
                "users[u].user.client-certificate-data", "not base64"},
        BadCase{"CertificateAlone", around("client-certificate: a"), "users[u].user.client-key",
                "missing"},
        BadCase{"TokenAndBasic", around("token: s3cret, username: a, password: s3cret"),
                "users[u].user.username", "contradicts token"},
        BadCase{"GroupsWithoutUser", around("as-groups: [a]"), "users[u].user.as", "missing"},
        BadCase{"ExtraWithoutUser", around("as-user-extra: {a: [s3cret]}"), "users[u].user.as",
                "missing"},
        BadCase{"ExtraIsAList", around("as: b, as-user-extra: [s3cret]"),
                "users[u].user.as-user-extra", "not an object"},
        BadCase{"ExtraValueIsText", around("as: b, as-user-extra: {a: s3cret}"),
                "users[u].user.as-user-extra.a", "not a list"},
        BadCase{"ExtraKeyIsEmpty", around("as: b, as-user-extra: {'': [s3cret]}"),
                "users[u].user.as-user-extra", "not a name"},
        BadCase{"AuthProvider", around("auth-provider: {name: gcp}"), "users[u].user.auth-provider",
                "exec plugin"},
        BadCase{"NoServer", around("token: s3cret", "insecure-skip-tls-verify: true"),
                "clusters[l].cluster.server", "https://HOST:PORT"},
        BadCase{"UserInUrl", around("", "server: 'https://a:s3cret@h'"),
                "clusters[l].cluster.server", "credentials belong"},
        BadCase{"Proxy", around("", "server: 'https://h', proxy-url: 'socks5://p:s3cret@h'"),
                "clusters[l].cluster.proxy-url", "does not start with http://"},
        BadCase{"ProxyPort", around("", "server: 'https://h', proxy-url: 'http://p:s3cret@h:x'"),
                "clusters[l].cluster.proxy-url", "HOST:PORT"},
        BadCase{"InsecureAndCa",
                around("",
                       "server: 'https://h', certificate-authority: a, "
                       "insecure-skip-tls-verify: true"),
                "insecure-skip-tls-verify", "contradicts"},
        BadCase{"Flag", around("", "server: 'https://h', insecure-skip-tls-verify: maybe"),
                "insecure-skip-tls-verify", "true or false"},
        BadCase{"ExecVersion",
                around("exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: a}"),
                "users[u].user.exec.apiVersion", "client.authentication.k8s.io/v1"},
        BadCase{"ExecNoCommand", around("exec: {apiVersion: client.authentication.k8s.io/v1beta1}"),
                "users[u].user.exec.command", "missing"},
        BadCase{"ExecInteractive",
                around("exec: {apiVersion: client.authentication.k8s.io/v1, command: a, "
                       "interactiveMode: Always}"),
                "exec.interactiveMode", "terminal"},
        BadCase{"ExecV1NeedsMode",
                around("exec: {apiVersion: client.authentication.k8s.io/v1, command: a}"),
                "exec.interactiveMode", "v1 demands it"}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST(Kubeconfig, FirstFileWinsWholeEntries) {
  const auto first = parse_kubeconfig(R"(
users: [{name: red, user: {username: first}}]
contexts: [{name: a, context: {cluster: one, user: red}}]
clusters: [{name: one, cluster: {server: "https://one", certificate-authority: ca}}]
)",
                                      "/first/config");
  const auto second = parse_kubeconfig(R"(
current-context: b
users: [{name: red, user: {username: second, password: p}}, {name: blue, user: {token: t}}]
contexts: [{name: b, context: {cluster: two, user: blue}}]
clusters: [{name: two, cluster: {server: "https://two", certificate-authority: ca}}]
)",
                                       "/second/config");
  const auto third = parse_kubeconfig("current-context: a\n", "/third/config");
  ASSERT_TRUE(first && second && third);
  const Kubeconfig merged = merge_kubeconfigs({*first, *second, *third});
  EXPECT_EQ(merged.current_context, "b");
  EXPECT_EQ(merged.users.at("red").username, "first");
  EXPECT_EQ(merged.users.at("red").password, "");
  const auto b = resolve_context(merged, "");
  ASSERT_TRUE(b);
  EXPECT_EQ(b->ca.file, "/second/ca");
  EXPECT_EQ(b->token, "t");
  const auto a = resolve_context(merged, "a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->ca.file, "/first/ca");
}

TEST(Kubeconfig, ShowsNoCredentialsInTheClear) {
  const auto config = resolve_text(around("token: s3cret", "server: 'http://h:8080'"));
  ASSERT_TRUE(config);
  EXPECT_EQ(config->token, "");
  EXPECT_FALSE(config->server.tls);
}

TEST(Kubeconfig, TokenBeatsExec) {
  const auto config =
      resolve_text(around("token: t, exec: {apiVersion: client.authentication.k8s.io/v1, "
                          "command: a, interactiveMode: Never}"));
  ASSERT_TRUE(config);
  EXPECT_FALSE(config->exec);
}

TEST(Base64, RoundTripsAndRefuses) {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", "\x01\xff\x00z"}) {
    EXPECT_EQ(decode_base64(encode_base64(text)), text);
  }
  EXPECT_EQ(decode_base64("YW\n Jj\r\n"), "abc");
  for (const char* bad : {"a", "ab=c", "a===", "a*aa", "abcde", "=abc"}) {
    EXPECT_EQ(decode_base64(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace gobuildenv::kube
