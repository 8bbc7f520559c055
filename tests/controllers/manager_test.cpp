#include "controllers/certificates/records.hpp"
#include "manager_fixture.hpp"

namespace gobuildenv::controllers {
namespace {

namespace certs = webhooks::certificates;
using nlohmann::json;
using testing::eventually;
using testing::ManagerTest;

TEST_F(ManagerTest, ReconcilesWhatHasComeWhileTheListOfEnvironmentsIsStillComing) {
  create_environment("app");
  create_pod("waits");
  // Of an environment that may yet come: no reason to tell anybody.
  world_.create("pods", {{"metadata",
                          {{"name", "early"},
                           {"namespace", "ns"},
                           {"labels",
                            {{std::string(goenv::kEnvLabel), "late"},
                             {std::string(goenv::kRevisionLabel), "0123456789"}}}}},
                         {"status", {{"phase", "Pending"}}}});
  world_.hold_second_page("gobuildenvs");
  start_only();
  EXPECT_TRUE(eventually([this] { return is_ready("app"); }));
  EXPECT_FALSE(manager_->synced());
  EXPECT_FALSE(passes("caches"));
  EXPECT_EQ(events(), std::vector<std::string>{});
  world_.release_page();
  EXPECT_TRUE(eventually([this] { return manager_->synced(); }));
  EXPECT_TRUE(eventually([this] { return !events().empty(); })) << "now it is known to be absent";
}

/// One worker, and old environments enough to keep it busy when a new one comes.
class Newcomer : public ManagerTest {
 protected:
  Newcomer() {
    options_.workers = 1;
    for (const char* name : {"a", "b", "c", "d"}) create_environment(name);
    world_.hold_creates("configmaps");
  }
  ~Newcomer() override { release(); }
  void release() {
    world_.release_page();
    world_.release_creates();
  }
  /// While the worker has the first of the old ones in its hand.
  void comes() {
    EXPECT_TRUE(eventually([this] { return wait_for_the_worker(3); }));
    create_environment("new");
    EXPECT_TRUE(eventually([this] { return wait_for_the_worker(4); }));
    release();
  }
  /// Whether so many wait beside the one that is held. Additions would not say: the held one may be
  /// added again.
  bool wait_for_the_worker(int environments) {
    const std::string text = metrics_.text();
    return text.find("controller_runtime_active_workers{controller=\"gobuildenv\"} 1\n") !=
               std::string::npos &&
           text.find("workqueue_depth{controller=\"gobuildenv\",name=\"gobuildenv\"} " +
                     std::to_string(environments) + "\n") != std::string::npos;
  }
  /// Of environments that a ConfigMap was made for, in order.
  std::vector<std::string> served() {
    const std::string kCreate = "create configmaps/";
    std::vector<std::string> out;
    for (const std::string& write : world_.writes()) {
      if (!write.starts_with(kCreate)) continue;
      out.push_back(write.substr(kCreate.size(), write.rfind('-') - kCreate.size()));
    }
    return out;
  }
};

TEST_F(Newcomer, OvertakesThoseThatWereThereBeforeAnybodyLed) {
  world_.hold_second_page("pods");
  start_only();
  EXPECT_TRUE(eventually([this] {
    return exposes("gobuildenv_informer_lists_total{resource=\"gobuildenvs.gobuildenv.dev\"} 1\n");
  }));
  EXPECT_FALSE(manager_->leads());
  world_.release_page();
  comes();
  EXPECT_TRUE(eventually([this] { return served().size() == 5; }));
  EXPECT_EQ(served().at(1), "new");
}

TEST_F(Newcomer, OvertakesThoseThatComeWithTheListLater) {
  world_.hold_second_page("gobuildenvs", testing::World::Second::Full);
  start_only();
  EXPECT_TRUE(eventually([this] { return manager_->leads(); }));
  world_.release_page();
  comes();
  EXPECT_TRUE(eventually([this] { return served().size() == 5; }));
  EXPECT_EQ(served().at(1), "new");
}

TEST_F(ManagerTest, ServesWhatItFindsAndWhatComes) {
  create_environment("app");
  create_pod("asked", "Running");
  create_chosen_pod("chosen");
  start();
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  EXPECT_EQ(status("app")["pods"]["injected"], 2) << "those that asked and those it chose";
  create_environment("late");
  ASSERT_TRUE(eventually([&] { return is_ready("late"); }));
  create_environment("range", "1.22");
  ASSERT_TRUE(eventually([&] {
    return exposes("gobuildenv_toolchain_resolutions_total{result=\"NoProxyConfigured\"} 1\n");
  }));
  ASSERT_TRUE(eventually([&] { return exposes("gobuildenv_environments{ready=\"false\"} 1\n"); }));
  EXPECT_TRUE(exposes("gobuildenv_environments{ready=\"true\"} 2\n"));
  EXPECT_TRUE(exposes("gobuildenv_environments{ready=\"unknown\"} 0\n"));
  EXPECT_TRUE(exposes("gobuildenv_pods_injected{namespace=\"ns\"} 2\n"));
  EXPECT_TRUE(exposes("gobuildenv_informer_objects{resource=\"pods\"} 1\n"));
  EXPECT_TRUE(exposes("gobuildenv_informer_objects{resource=\"pods-chosen\"} 1\n"));
  world_.remove("gobuildenvs", "late");
  EXPECT_TRUE(eventually([&] { return exposes("gobuildenv_environments{ready=\"true\"} 1\n"); }));
}

TEST_F(ManagerTest, PodsOfExcludedNamespacesAreNotMissed) {
  options_.excluded_namespaces = {"ns"};
  create_environment("app");
  for (const char* ns : {"ns", "other"}) {
    world_.create("pods", {{"metadata",
                            {{"name", std::string("asks-") + ns},
                             {"namespace", ns},
                             {"labels", {{std::string(goenv::kEnvLabel), "app"}}}}},
                           {"status", {{"phase", "Running"}}}});
  }
  start();
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  EXPECT_TRUE(exposes("gobuildenv_pods_missed{namespace=\"other\"} 1\n"));
  EXPECT_TRUE(exposes("gobuildenv_pods_missed{namespace=\"ns\"} 0\n"));
  EXPECT_EQ(status("app").value("/pods/missed"_json_pointer, 0), 0);
}

TEST_F(ManagerTest, ADeletionIsToldToThoseItStrands) {
  create_environment("app");
  create_pod("waits");
  create_pod("runs", "Running");
  create_chosen_pod("chosen");
  start();
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  const std::string app = uid("gobuildenvs", "app");
  world_.remove("gobuildenvs", "app");
  std::vector<std::string> expected{"DeletedWhileInUse app " + app,
                                    "EnvironmentDeleted chosen " + uid("pods", "chosen"),
                                    "EnvironmentDeleted waits " + uid("pods", "waits")};
  EXPECT_TRUE(eventually([&] { return events().size() >= 3; }));
  EXPECT_EQ(events(), expected);

  // Admission had answered for this one just before.
  create_pod("late");
  expected.insert(expected.begin() + 2, "EnvironmentDeleted late " + uid("pods", "late"));
  EXPECT_TRUE(eventually([&] { return events().size() >= 4; }));
  EXPECT_EQ(events(), expected);
}

TEST_F(ManagerTest, ADeletionInTwoStepsIsToldOnce) {
  create_environment("app");
  create_pod("waits");
  start();
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  const std::string app = uid("gobuildenvs", "app");
  world_.change("gobuildenvs", "app",
                {{"metadata", {{"deletionTimestamp", "2026-11-22T10:58:50Z"}}}});
  ASSERT_TRUE(eventually([&] { return events().size() == 1; }));
  EXPECT_EQ(events()[0], "DeletedWhileInUse app " + app);
  world_.remove("gobuildenvs", "app");
  ASSERT_TRUE(eventually([&] { return events().size() == 2; }));
  EXPECT_EQ(events()[1], "EnvironmentDeleted waits " + uid("pods", "waits"));
  for (const std::string& write : world_.writes()) {
    EXPECT_FALSE(write.starts_with("patch events/")) << "a series: told twice";
  }
}

TEST_F(ManagerTest, AnUnusedEnvironmentGoesQuietly) {
  create_environment("app");
  start();
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  world_.remove("gobuildenvs", "app");
  create_environment("next");
  ASSERT_TRUE(eventually([&] { return is_ready("next"); }));
  EXPECT_EQ(events(), std::vector<std::string>{});
}

TEST_F(ManagerTest, PodsStrandedWhileNobodyLookedAreToldAtTheStart) {
  create_pod("waits");
  start();
  ASSERT_TRUE(eventually([&] { return !events().empty(); }));
  EXPECT_EQ(events(), std::vector<std::string>{"EnvironmentDeleted waits " + uid("pods", "waits")});
}

TEST_F(ManagerTest, ADeletedRevisionIsToldToThoseWhoWaitForIt) {
  const auto passing = [this](const std::function<bool()>& holds) {
    return eventually([&] {
      clock_.advance(std::chrono::milliseconds(250));
      return holds();
    });
  };
  create_environment("app");
  create_environment("other");
  start();
  ASSERT_TRUE(eventually([&] { return is_ready("app") && is_ready("other"); }));
  world_.create("configmaps",
                {{"metadata",
                  {{"name", "app-0123456789"},
                   {"namespace", "ns"},
                   {"labels",
                    {{std::string(goenv::kEnvLabel), "app"},
                     {std::string("app.kubernetes.io/managed-by"), std::string("gobuildenv")}}}}}});
  create_pod("waits");
  create_pod("runs", "Running");
  ASSERT_TRUE(passing([&] { return status("app").value("/pods/injected"_json_pointer, 0) == 2; }));
  EXPECT_EQ(events(), std::vector<std::string>{});
  world_.remove("configmaps", "app-0123456789");
  EXPECT_TRUE(passing([&] { return !events().empty(); }));
  EXPECT_EQ(events(), std::vector<std::string>{"RevisionDeleted waits " + uid("pods", "waits")});

  // Admission had answered for this one just before.
  create_pod("late");
  EXPECT_TRUE(passing([&] { return events().size() >= 2; }));
  EXPECT_EQ(events()[0], "RevisionDeleted late " + uid("pods", "late"));
}

TEST_F(ManagerTest, AnEnvironmentMadeAgainIsToldToThoseItStrands) {
  create_environment("app");
  start();
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  const std::string former = status("app")["revisions"]["current"];
  world_.remove("gobuildenvs", "app");
  create_environment("app", "1.21.6");
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  ASSERT_NE(status("app")["revisions"]["current"], former);
  create_pod("waits");
  EXPECT_TRUE(eventually([&] {
    clock_.advance(std::chrono::milliseconds(250));
    return !events().empty();
  }));
  EXPECT_EQ(events(), std::vector<std::string>{"RevisionDeleted waits " + uid("pods", "waits")});
}

TEST_F(ManagerTest, CountsNodesAndIsQuietAboutThemAfterARestart) {
  const auto write_count = [this] {
    std::size_t out = 0;
    for (const std::string& write : world_.writes())
      out += write.find("gobuildenvs/") < write.size();
    return out;
  };
  const auto after_a_while = [this](const std::function<bool()>& holds) {
    return eventually([&] {
      if (holds()) return true;
      clock_.advance(std::chrono::milliseconds(250));
      return false;
    });
  };
  const auto counts = [this](const std::string& name) {
    const json nodes = status(name).value("nodes", json::object());
    return std::pair(nodes.value("ready", 0), nodes.value("desired", 0));
  };
  const json held{{"version", "1.22.3"}, {"state", "Ready"}, {"key", "h1-A"}, {"sum", "h1:A="}};
  world_.create("gonodecaches", {{"metadata", {{"name", "n1"}}},
                                 {"status", {{"toolchains", json::array({held})}}}});
  for (const char* name : {"a", "b", "c"}) create_environment(name);
  start();
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_TRUE(after_a_while([&] { return counts(name) == std::pair(1, 1); })) << name;
  }
  stop();

  const std::size_t before = write_count();
  kube::Metrics fresh;  // the next process counts anew
  manager_ = std::make_unique<Manager>(
      options_, ManagerEdges{[this](kube::WriteFence fence, kube::RequestStop*) {
                               return std::make_unique<testing::WorldClient>(world_,
                                                                             std::move(fence));
                             },
                             clock_, fresh, kube::make_random()});
  manager_->start();
  const auto shows = [&](const std::string& line) {
    return fresh.text().find(line) != std::string::npos;
  };
  ASSERT_TRUE(after_a_while([&] { return shows("gobuildenv_node_sweep_passes_total 1\n"); }));
  EXPECT_TRUE(shows("gobuildenv_node_sweep_compared_total 1\n")) << "one for all three";
  EXPECT_TRUE(shows("gobuildenv_node_sweep_environments_total 0\n"));
  EXPECT_EQ(write_count(), before);

  world_.create("gonodecaches", {{"metadata", {{"name", "n2"}}}});
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_TRUE(after_a_while([&] { return counts(name) == std::pair(1, 2); })) << name;
  }
  world_.remove("gonodecaches", "n1");
  world_.remove("gonodecaches", "n2");
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_TRUE(after_a_while([&] { return counts(name) == std::pair(0, 0); })) << name;
  }
  stop();
}

json secret_of(const certs::Stored& stored, const std::string& name) {
  json object = json::parse(encode_secret({"system", name}, stored));
  object["metadata"].erase("labels");
  return object;
}

certs::Stored issued_at(certs::TimePoint now) {
  certs::RotationOptions rotation;
  rotation.dns_names = certs::service_names("hook", "system");
  return *certs::advance(certs::Step::CreateAll, std::nullopt, now, rotation);
}

TEST_F(ManagerTest, ASecretOfSomebodyElseIsOnlyLoaded) {
  options_.certificates = CertificateMode::Secret;
  options_.secret_name = "issued";
  world_.create("mutatingwebhookconfigurations",
                {{"metadata", {{"name", options_.mutating_configuration}}},
                 {"webhooks", {{{"name", "a"}, {"clientConfig", json::object()}}}}});
  start();
  EXPECT_FALSE(passes("certificate")) << "not there yet";
  certs::Stored first = issued_at(clock_.wall_now());
  first.ca.private_key.clear();
  world_.create("secrets", secret_of(first, "issued"));
  ASSERT_TRUE(eventually([&] { return passes("certificate"); }));
  EXPECT_EQ(leaves(), std::vector{first.leaf});
  EXPECT_TRUE(exposes("gobuildenv_certificate_expiry_seconds{certificate=\"serving\"} "));
  EXPECT_TRUE(exposes("gobuildenv_certificate_expiry_seconds{certificate=\"ca\"} "));

  // Half of the next pair, then both.
  const certs::Stored second = issued_at(clock_.wall_now());
  const json data = secret_of(second, "issued")["data"];
  world_.change("secrets", "issued", {{"data", {{"tls.crt", data["tls.crt"]}}}});
  world_.change("secrets", "issued", {{"data", {{"tls.key", data["tls.key"]}}}});
  ASSERT_TRUE(eventually([&] { return leaves().size() == 2; }));
  EXPECT_EQ(leaves()[1], second.leaf);

  // An unrelated change and a deletion: what is served goes on being served.
  world_.change("secrets", "issued", {{"data", {{"note", "eA=="}}}});
  world_.remove("secrets", "issued");
  create_environment("app");
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  EXPECT_EQ(leaves().size(), 2u);
  EXPECT_TRUE(passes("certificate"));
  EXPECT_EQ(ready_.answer("/readyz/ca-bundle").status, 404) << "caBundle is not our business";
  EXPECT_FALSE(world_.watched().contains("mutatingwebhookconfigurations"));
  for (const std::string& write : world_.writes()) {
    EXPECT_EQ(write.find("secrets/"), std::string::npos) << write;
    EXPECT_EQ(write.find("webhookconfigurations/"), std::string::npos) << write;
  }
}

TEST_F(ManagerTest, CertificatesOfOurOwnAreMadeServedAndTrusted) {
  options_.certificates = CertificateMode::SelfManaged;
  world_.create("mutatingwebhookconfigurations",
                {{"metadata", {{"name", options_.mutating_configuration}}},
                 {"webhooks", {{{"name", "a"}, {"clientConfig", json::object()}}}}});
  start();
  ASSERT_TRUE(eventually([&] { return passes("certificate") && passes("ca-bundle"); }));
  const json secret = world_.get("secrets", options_.secret_name);
  const certs::Stored stored = decode_secret(secret.dump())->value->stored;
  EXPECT_EQ(leaves(), std::vector{stored.leaf});
  EXPECT_EQ(world_.writes(), (std::vector<std::string>{"create secrets/" + options_.secret_name,
                                                       "apply mutatingwebhookconfigurations/" +
                                                           options_.mutating_configuration}));
  // Deleted by somebody: made anew, trusted and served.
  world_.remove("secrets", options_.secret_name);
  ASSERT_TRUE(eventually([&] { return leaves().size() == 2 && passes("ca-bundle"); }));
  EXPECT_NE(leaves()[1], stored.leaf);
}

TEST_F(ManagerTest, CertificateFilesNeedNoSecret) {
  start();
  EXPECT_FALSE(world_.watched().contains("secrets"));
  EXPECT_EQ(ready_.answer("/readyz").status, 200);
  EXPECT_EQ(live_.answer("/healthz").status, 200);
}

TEST_F(ManagerTest, TheLeaseIsTakenBeforeAndGivenBackAfterEverythingElse) {
  options_.leader_election = true;
  create_environment("app");
  start();
  ASSERT_TRUE(eventually([&] { return is_ready("app"); }));
  EXPECT_EQ(world_.writes().front(), "create leases/gobuildenv-manager");
  manager_->request_stop();
  EXPECT_EQ(manager_->wait(), Manager::End::Stopped);
  manager_->stop_controllers();
  EXPECT_EQ(manager_->lookup().find("ns", "app").found, webhooks::EnvironmentLookup::Found::Yes)
      << "the webhook still serves";
  manager_->release_lease();
  EXPECT_EQ(world_.writes().back(), "update leases/gobuildenv-manager");
  EXPECT_EQ(world_.get("leases", "gobuildenv-manager")["spec"].value("holderIdentity", ""), "");
}

}  // namespace
}  // namespace gobuildenv::controllers
