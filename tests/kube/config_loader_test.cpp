#include "kube/config_loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "tests/kube/temp_folder.hpp"

namespace gobuildenv::kube {
namespace {

using ::testing::HasSubstr;

class ConfigLoader : public ::testing::Test {
 protected:
  LoadOptions options() {
    LoadOptions out;
    out.env = [this](const char* name) { return env_[name]; };
    out.service_account_dir = folder_.path("sa");
    return out;
  }
  static std::string config(const std::string& server) {
    return "current-context: c\nclusters: [{name: l, cluster: {server: 'https://" + server +
           "'}}]\ncontexts: [{name: c, context: {cluster: l}}]\n";
  }

  testing::TempFolder folder_;
  std::map<std::string, std::string> env_;
};

TEST_F(ConfigLoader, LooksInTheOrderOfControllerRuntime) {
  env_["HOME"] = folder_.path("home");
  folder_.write("home/.kube/config", config("home"));
  EXPECT_EQ(load_cluster_config(options())->server.host, "home");

  env_["KUBERNETES_SERVICE_HOST"] = "10.96.0.1";
  env_["KUBERNETES_SERVICE_PORT"] = "443";
  folder_.write("sa/ca.crt", "pem");
  folder_.write("sa/token", "t");
  folder_.write("sa/namespace", "ops\n");
  auto in_cluster = load_cluster_config(options());
  ASSERT_TRUE(in_cluster) << in_cluster.error().text();
  EXPECT_EQ(in_cluster->server.authority(), "10.96.0.1:443");
  EXPECT_EQ(in_cluster->token_file, folder_.path("sa/token"));
  EXPECT_EQ(in_cluster->ns, "ops");

  env_["KUBECONFIG"] =
      ":" + folder_.path("absent") + ":" + folder_.write("listed", config("listed"));
  EXPECT_EQ(load_cluster_config(options())->server.host, "listed");

  auto explicitly = options();
  explicitly.kubeconfig = folder_.write("given", config("given"));
  EXPECT_EQ(load_cluster_config(explicitly)->server.host, "given");
}

TEST_F(ConfigLoader, SaysWhatIsMissing) {
  env_["HOME"] = folder_.path("home");
  EXPECT_THAT(load_cluster_config(options()).error().text(), HasSubstr("--kubeconfig"));

  env_["KUBECONFIG"] = folder_.path("absent");
  EXPECT_THAT(load_cluster_config(options()).error().text(), HasSubstr("none of its files exists"));

  auto explicitly = options();
  explicitly.kubeconfig = folder_.path("absent");
  EXPECT_THAT(load_cluster_config(explicitly).error().text(), HasSubstr(folder_.path("absent")));

  env_["KUBECONFIG"] = "";
  env_["KUBERNETES_SERVICE_HOST"] = "::1";
  env_["KUBERNETES_SERVICE_PORT"] = "6443";
  EXPECT_THAT(load_cluster_config(options()).error().text(),
              HasSubstr("automountServiceAccountToken"));
  folder_.write("sa/ca.crt", "pem");
  folder_.write("sa/token", "");
  EXPECT_THAT(load_cluster_config(options()).error().text(), HasSubstr("it is empty"));
  folder_.write("sa/token", "t");
  EXPECT_EQ(load_cluster_config(options())->server.authority(), "[::1]:6443");
  env_["KUBERNETES_SERVICE_PORT"] = "";
  EXPECT_THAT(load_cluster_config(options()).error().text(), HasSubstr("KUBERNETES_SERVICE_PORT"));
}

TEST_F(ConfigLoader, ABrokenListedFileIsAnErrorAndNotSkipped) {
  env_["KUBECONFIG"] =
      folder_.write("broken", "users: [") + ":" + folder_.write("good", config("good"));
  EXPECT_THAT(load_cluster_config(options()).error().text(), HasSubstr(folder_.path("broken")));
}

}  // namespace
}  // namespace gobuildenv::kube
