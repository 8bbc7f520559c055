// What a manager does when there is nothing to do: as hours go by, when a namespace changes, and
// after a time without a leader.
#include <atomic>
#include <sstream>

#include "controllers/manager.hpp"
#include "crds/time.hpp"
#include "kube/rfc3339.hpp"
#include "manager_fixture.hpp"

namespace gobuildenv::controllers {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::milliseconds;
using testing::eventually;

class SteadyManager : public testing::ManagerTest {
 protected:
  /// Sum of the series whose line begins with `name` and has all of `labels`.
  double metric(const std::string& name, const std::vector<std::string>& labels) {
    double sum = 0;
    std::istringstream lines(metrics_.text());
    for (std::string line; std::getline(lines, line);) {
      const bool wanted = line.starts_with(name + "{") &&
                          std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
                            return line.find(label) != std::string::npos;
                          });
      if (wanted) sum += std::stod(line.substr(line.rfind(' ')));
    }
    return sum;
  }
  double runs(const std::string& controller = "gobuildenv") {
    return metric("controller_runtime_reconcile_total",
                  {"controller=\"" + controller + "\"", "result=\"success\""});
  }
  /// Keys of environments that were put into the queue, and whether all of them were worked off.
  double adds() { return metric("workqueue_adds_total", {"name=\"gobuildenv\""}); }
  bool idle() {
    return adds() == metric("workqueue_work_duration_seconds_count", {"name=\"gobuildenv\""});
  }

  bool after_a_while(const std::function<bool()>& holds) {
    return eventually([&] {
      if (holds()) return true;
      clock_.advance(milliseconds(250));
      return false;
    });
  }
  /// That time passes; every watch has shown all that came before, and it is worked off.
  void pass(std::chrono::seconds time) {
    clock_.advance(time);
    world_.bookmark();
    ASSERT_TRUE(eventually(
        [&] { return metric("gobuildenv_informer_last_event_age_seconds", {}) == 0 && idle(); }));
  }

  std::string ago(std::chrono::seconds age) {
    const auto now =
        std::chrono::duration_cast<std::chrono::seconds>(clock_.wall_now().time_since_epoch());
    return crds::format_time((now - age).count());
  }
  /// A running pod that asks for the environment; with a revision, one that got it.
  void create_asking(const std::string& name, const std::string& environment,
                     std::chrono::seconds age, const std::string& revision = "") {
    json pod{{"metadata",
              {{"name", name},
               {"namespace", "ns"},
               {"creationTimestamp", ago(age)},
               {"labels", {{std::string(goenv::kEnvLabel), environment}}}}},
             {"status", {{"phase", "Running"}}}};
    if (!revision.empty()) {
      pod["metadata"]["annotations"][std::string(goenv::kRevisionAnnotation)] = revision;
    }
    world_.create("pods", pod);
  }
  int number(const std::string& environment, const char* pointer) {
    return status(environment).value(json::json_pointer(pointer), 0);
  }
  std::string reason(const std::string& environment, const std::string& type) {
    const json now = status(environment);
    for (const json& condition : now.value("conditions", json::array())) {
      if (condition["type"] == type) return condition["reason"];
    }
    return "";
  }
};

TEST_F(SteadyManager, WritesNothingForHoursAndLooksAtEverythingAgain) {
  const auto tries = std::make_shared<std::atomic<int>>(0);
  world_.refuse([tries](const std::string& entry) {
    if (!entry.starts_with("create configmaps/refused-")) return std::optional<kube::Error>();
    kube::Error error;
    error.kind = kube::Error::Kind::Forbidden;
    error.code = 403;
    error.message = "exceeded quota: few, used: count/configmaps=" + std::to_string(++*tries);
    return std::optional(error);
  });
  const std::vector<std::string> names{"a", "b", "c", "d", "e", "f"};
  for (const std::string& name : names) {
    create_environment(name);
    create_asking(name + "-got", name, std::chrono::minutes(1), "0123456789");
  }
  create_asking("missed", "a", std::chrono::minutes(1));
  world_.change("gobuildenvs", "b", {{"spec", {{"export", {{"configMapName", "go-env"}}}}}});
  create_environment("refused");
  world_.create("gonodecaches", {{"metadata", {{"name", "n1"}}},
                                 {"status",
                                  {{"toolchains", json::array({{{"version", "1.22.3"},
                                                                {"state", "Ready"},
                                                                {"key", "h1-A"},
                                                                {"sum", "h1:A="}}})}}}});
  start();
  ASSERT_TRUE(after_a_while([&] { return is_ready("c"); }));
  world_.change("gobuildenvs", "c",
                {{"metadata", {{"generation", 2}}}, {"spec", {{"flags", {"-trimpath"}}}}});
  ASSERT_TRUE(after_a_while([&] {
    return std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return is_ready(name) && number(name, "/nodes/ready") == 1 &&
             number(name, "/pods/injected") == 1;
    });
  }));
  ASSERT_TRUE(after_a_while([&] {
    return status("c")["history"].size() == 2 && number("a", "/pods/missed") == 1 &&
           reason("b", "Exported") == "Exported" &&
           reason("refused", "Stalled") == "ConfigMapRefused" &&
           number("refused", "/nodes/ready") == 1 && events().size() == 3;
  }));
  ASSERT_NO_FATAL_FAILURE(pass(hours(1)));

  const std::vector<std::string> before = world_.writes();
  const double looked = runs();
  const double wanted = looked + 2 * static_cast<double>(names.size());
  const int tried = *tries;
  int passed = 0;
  for (; passed < 40 && runs() < wanted; ++passed) {
    ASSERT_NO_FATAL_FAILURE(pass(hours(1)));
    ASSERT_TRUE(eventually([&] { return *tries >= tried + passed && idle(); }));
  }
  EXPECT_GE(runs(), wanted) << "two resyncs in " << passed << " hours";
  EXPECT_GT(passed, 10);
  EXPECT_GE(*tries, tried + passed - 1) << "what is refused is tried all the time";
  EXPECT_EQ(world_.writes(), before);

  world_.refuse({});
  ASSERT_NO_FATAL_FAILURE(pass(hours(1)));
  EXPECT_TRUE(eventually([&] { return is_ready("refused"); }));
  EXPECT_EQ(reason("refused", "Stalled"), "");
  stop();
  EXPECT_EQ(world_.writes().size(), before.size() + 2) << "its ConfigMap and its status";
}

TEST_F(SteadyManager, CountsFollowTheInjectionOfANamespace) {
  create_environment("app");
  create_asking("asks", "app", std::chrono::minutes(1));
  start();
  const auto missed = [&](int count) {
    return after_a_while([&] { return is_ready("app") && number("app", "/pods/missed") == count; });
  };
  ASSERT_TRUE(missed(1));
  const auto labelled = [](const char* injection) {
    return json{{"metadata",
                 {{"name", "ns"}, {"labels", {{std::string(goenv::kInjectionLabel), injection}}}}}};
  };
  world_.create("namespaces", labelled("disabled"));
  EXPECT_TRUE(missed(0));

  // What says nothing of injection makes nobody look.
  ASSERT_NO_FATAL_FAILURE(pass(std::chrono::seconds(1)));
  const double before = adds();
  world_.change("namespaces", "ns", {{"metadata", {{"annotations", {{"note", "x"}}}}}});
  ASSERT_NO_FATAL_FAILURE(pass(std::chrono::seconds(1)));
  EXPECT_EQ(adds(), before);

  world_.change("namespaces", "ns", labelled("enabled"));
  EXPECT_TRUE(missed(1));
  world_.change("namespaces", "ns", labelled("disabled"));
  EXPECT_TRUE(missed(0));
  world_.remove("namespaces", "ns");  // or its label: the watch shows the same
  EXPECT_TRUE(missed(1));
}

TEST_F(SteadyManager, PodsThatMissedWhileNobodyLedAreToldOnce) {
  options_.leader_election = true;
  world_.create("leases",
                {{"metadata", {{"name", options_.lease_name}, {"namespace", "system"}}},
                 {"spec",
                  {{"holderIdentity", ""},
                   {"leaseDurationSeconds", 1},
                   {"renewTime", kube::format_micro_time(clock_.wall_now() - hours(3))}}}});
  create_environment("app");
  create_asking("told-of", "app", hours(4));
  create_asking("in-the-gap", "app", hours(1));
  start();
  ASSERT_TRUE(eventually([&] { return runs("missed-pods") >= 2; }));
  ASSERT_TRUE(eventually([&] { return !events().empty(); }));
  ASSERT_EQ(events().size(), 1u);
  EXPECT_NE(events()[0].find(" in-the-gap "), std::string::npos) << events()[0];
  stop();

  const double before = runs("missed-pods");
  clock_.advance(std::chrono::minutes(1));
  options_.identity = "next";
  manager_ = std::make_unique<Manager>(
      options_, ManagerEdges{[this](kube::WriteFence fence, kube::RequestStop*) {
                               return std::make_unique<testing::WorldClient>(world_,
                                                                             std::move(fence));
                             },
                             clock_, metrics_, kube::make_random()});
  manager_->start();
  ASSERT_TRUE(eventually([&] { return runs("missed-pods") >= before + 2; }));
  stop();
  EXPECT_EQ(events().size(), 1u);
}

}  // namespace
}  // namespace gobuildenv::controllers
