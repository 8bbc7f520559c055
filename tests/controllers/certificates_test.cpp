#include <gtest/gtest.h>

#include "caches.hpp"
#include "controllers/certificates/controller.hpp"
#include "controllers/gobuildenv/records.hpp"
#include "kube/base64.hpp"
#include "memory_client.hpp"

namespace gobuildenv::controllers {
namespace {

namespace certs = webhooks::certificates;
using kube::ReconcileResult;
using nlohmann::json;
using std::chrono::hours;
using std::chrono::minutes;
using ResultKind = ReconcileResult::Kind;
using Log = std::vector<std::string>;

const kube::ObjectKey kSecret{"system", "cert"};

class Certificates : public ::testing::Test {
 protected:
  Certificates()
      : runtime_{client_, clock_, [] { return 0.5; }, nullptr},
        secret_(runtime_, {}, decode_secret),
        mutating_(runtime_, {}, decode_webhook_configuration),
        validating_(runtime_, {}, decode_webhook_configuration),
        controller_({client_, secret_, mutating_, validating_}, clock_, options()) {
    testing::sync(secret_);
    testing::sync(mutating_);
    testing::sync(validating_);
  }

  static CertificateOptions options() {
    CertificateOptions out;
    out.secret = kSecret;
    out.rotation.dns_names = certs::service_names("hook", "system");
    return out;
  }

  static json configuration(std::vector<std::string> hooks) {
    json out{{"metadata", {{"name", "gobuildenv"}}}, {"webhooks", json::array()}};
    for (const std::string& name : hooks) {
      out["webhooks"].push_back({{"name", name},
                                 {"failurePolicy", "Ignore"},
                                 {"clientConfig", {{"service", {{"name", "hook"}}}}}});
    }
    return out;
  }
  void show_configurations() {
    mutating_.observe_write(client_.put(kMutatingWebhookType.plural, configuration({"a", "b"})));
    validating_.observe_write(client_.put(kValidatingWebhookType.plural, configuration({"c"})));
  }

  ReconcileResult reconcile() { return controller_.reconcile(kSecret); }
  certs::Stored stored() {
    return decode_secret(client_.at("secrets", "cert").dump())->value->stored;
  }
  /// The one bundle that all hooks have; empty when they differ or have none.
  std::string published() {
    std::vector<std::string> found;
    for (const auto& type : {kMutatingWebhookType, kValidatingWebhookType}) {
      for (const json& hook : client_.at(type.plural, "gobuildenv")["webhooks"]) {
        const std::string text = hook["clientConfig"].value("caBundle", "");
        found.push_back(kube::decode_base64(text).value_or("broken"));
      }
    }
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found.size() == 1 ? found.front() : "";
  }
  Log writes() { return std::exchange(client_.log, {}); }

  kube::FakeClock clock_;
  testing::MemoryClient client_;
  kube::InformerRuntime runtime_;
  kube::Informer<CertificateSecret> secret_;
  kube::Informer<WebhookConfiguration> mutating_;
  kube::Informer<WebhookConfiguration> validating_;
  CertificateController controller_;
};

const Log kPublish{"apply mutatingwebhookconfigurations/gobuildenv",
                   "apply validatingwebhookconfigurations/gobuildenv"};

TEST_F(Certificates, MakesPublishesAndRests) {
  show_configurations();
  EXPECT_FALSE(controller_.published());
  EXPECT_EQ(reconcile().kind, ResultKind::RequeueAfter);
  EXPECT_EQ(writes(), (Log{"create secrets/cert", kPublish[0], kPublish[1]}));
  EXPECT_EQ(client_.at("secrets", "cert")["type"], "kubernetes.io/tls");
  EXPECT_EQ(published(), stored().ca.certificate);
  EXPECT_TRUE(certs::signed_by(stored().leaf.certificate, published()));
  EXPECT_TRUE(controller_.published());
  for (const kube::ApplyOptions& apply : client_.applied) {
    EXPECT_EQ(apply.field_manager, "gobuildenv-ca") << "the chart's fields stay the chart's";
    EXPECT_TRUE(apply.force);
  }
  const json hook = client_.at(kMutatingWebhookType.plural, "gobuildenv")["webhooks"][1];
  EXPECT_EQ(hook["failurePolicy"], "Ignore");
  EXPECT_EQ(hook["clientConfig"]["service"]["name"], "hook");

  const ReconcileResult rest = reconcile();
  EXPECT_EQ(rest.kind, ResultKind::RequeueAfter);
  EXPECT_LE(rest.after, hours(1));
  EXPECT_EQ(writes(), Log{});
}

TEST_F(Certificates, AConfigurationThatComesLaterIsGivenTheBundle) {
  reconcile();
  EXPECT_TRUE(controller_.published()) << "there is nothing yet that could trust";
  EXPECT_EQ(writes(), Log{"create secrets/cert"});
  show_configurations();
  EXPECT_FALSE(controller_.published());
  reconcile();
  EXPECT_EQ(writes(), kPublish);
  // The chart is installed anew, without caBundle.
  mutating_.observe_write(client_.put(kMutatingWebhookType.plural, configuration({"a"})));
  reconcile();
  EXPECT_EQ(writes(), Log{kPublish[0]});
  EXPECT_EQ(published(), stored().ca.certificate);
}

TEST_F(Certificates, RotatesInSteps) {
  show_configurations();
  reconcile();
  writes();
  const certs::Stored first = stored();

  clock_.advance(hours(24 * 5));
  reconcile();
  EXPECT_EQ(writes(), Log{"patch secrets/cert"});
  EXPECT_EQ(stored().ca, first.ca);
  EXPECT_NE(stored().leaf, first.leaf);

  clock_.advance(hours(24 * 245));
  const ReconcileResult staged = reconcile();
  EXPECT_EQ(writes(), (Log{"patch secrets/cert", "patch secrets/cert", kPublish[0], kPublish[1]}));
  const certs::Stored next = stored();
  EXPECT_EQ(next.ca, first.ca);
  EXPECT_FALSE(next.next_ca.empty());
  EXPECT_EQ(published(), first.ca.certificate + next.next_ca.certificate);
  EXPECT_LE(staged.after, minutes(2));
  reconcile();
  EXPECT_EQ(writes(), Log{}) << "API servers need a while to see it";

  clock_.advance(minutes(2));
  reconcile();
  EXPECT_EQ(writes(), Log{"patch secrets/cert"}) << "the same two CAs are trusted on";
  EXPECT_EQ(stored().ca, next.next_ca);
  EXPECT_EQ(stored().previous_ca, first.ca.certificate);
  EXPECT_TRUE(stored().next_ca.empty());
  EXPECT_FALSE(client_.at("secrets", "cert")["data"].contains("next-ca.key"));
  EXPECT_TRUE(certs::signed_by(stored().leaf.certificate, next.next_ca.certificate));

  clock_.advance(minutes(2));
  reconcile();
  EXPECT_EQ(writes(), (Log{"patch secrets/cert", kPublish[0], kPublish[1]}));
  EXPECT_EQ(published(), next.next_ca.certificate);
  EXPECT_TRUE(controller_.published());
}

TEST_F(Certificates, AConflictIsTriedAgainAndOverwritesNothing) {
  reconcile();
  writes();
  clock_.advance(hours(24 * 5));
  // Another leader was here; our watch has not shown it.
  json& object = client_.at("secrets", "cert");
  const certs::Stored theirs =
      *certs::advance(certs::Step::RenewLeaf, stored(), clock_.wall_now(), options().rotation);
  object["data"]["tls.crt"] = kube::encode_base64(theirs.leaf.certificate);
  object["data"]["tls.key"] = kube::encode_base64(theirs.leaf.private_key);
  const std::string changed = client_.touch(object);
  EXPECT_EQ(reconcile().kind, ResultKind::Retry);
  EXPECT_EQ(stored(), theirs);
  writes();
  secret_.observe_write(changed);
  EXPECT_EQ(reconcile().kind, ResultKind::RequeueAfter);
  EXPECT_EQ(writes(), Log{}) << "theirs is as good";
}

TEST_F(Certificates, AConfigurationReplacedMeanwhileIsNotMade) {
  show_configurations();
  client_.all(kMutatingWebhookType.plural).clear();
  EXPECT_EQ(reconcile().kind, ResultKind::Retry);
  EXPECT_FALSE(client_.has(kMutatingWebhookType.plural, "gobuildenv"));
}

TEST_F(Certificates, TheSecretOfAnotherReplicaCounts) {
  const certs::Stored theirs =
      *certs::advance(certs::Step::CreateAll, std::nullopt, clock_.wall_now(), options().rotation);
  client_.put("secrets", json::parse(encode_secret(kSecret, theirs)));
  EXPECT_EQ(reconcile().kind, ResultKind::RequeueAfter);
  EXPECT_EQ(stored(), theirs);
  EXPECT_EQ(secret_.get(kSecret)->stored, theirs);
}

TEST_F(Certificates, ASecretThatIsNotOursIsLeftAlone) {
  show_configurations();
  const certs::Stored theirs =
      *certs::advance(certs::Step::CreateAll, std::nullopt, clock_.wall_now(), options().rotation);
  certs::Stored leaf_only;
  leaf_only.leaf = theirs.leaf;
  leaf_only.ca.certificate = theirs.ca.certificate;  // as cert-manager writes it
  json object = json::parse(encode_secret(kSecret, leaf_only));
  object["metadata"].erase("labels");
  secret_.observe_write(client_.put("secrets", object));
  const json before = client_.at("secrets", "cert");
  const ReconcileResult refused = reconcile();
  EXPECT_EQ(refused.kind, ResultKind::Final);
  EXPECT_NE(refused.message.find("system/cert"), std::string::npos) << refused.message;
  EXPECT_TRUE(client_.at("secrets", "cert") == before);
  EXPECT_EQ(writes(), Log{});
  EXPECT_EQ(published(), "");
}

TEST_F(Certificates, OurOwnBrokenSecretAndAnEmptyOneAreFilled) {
  json object = json::parse(encode_secret(kSecret, {}));
  object["metadata"]["labels"] = {{std::string(kManagedByLabel), "Helm"}};
  secret_.observe_write(client_.put("secrets", object));
  EXPECT_EQ(reconcile().kind, ResultKind::RequeueAfter);
  EXPECT_EQ(client_.at("secrets", "cert")["metadata"]["labels"][std::string(kManagedByLabel)],
            "Helm");
  const std::string ca = stored().ca.certificate;
  EXPECT_FALSE(ca.empty());

  json& broken = client_.at("secrets", "cert");
  broken["data"]["ca.key"] = "bm8ga2V5";
  secret_.observe_write(client_.touch(broken));
  EXPECT_EQ(reconcile().kind, ResultKind::RequeueAfter);
  EXPECT_NE(stored().ca.certificate, ca);
  EXPECT_TRUE(certs::check_pair(stored().ca));
}

TEST_F(Certificates, NothingStartsWithoutTheLease) {
  show_configurations();
  client_.fail = [](const std::string&) { return std::optional(kube::Error::Kind::ShuttingDown); };
  EXPECT_EQ(reconcile().kind, ResultKind::Done);
  EXPECT_EQ(writes(), Log{});
}

}  // namespace
}  // namespace gobuildenv::controllers
