#include "controllers/gobuildenv/records.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "controllers/gobuildenv/caches.hpp"
#include "controllers/gobuildenv/status.hpp"
#include "crds/digest.hpp"
#include "goenv/names.hpp"
#include "goenv/revision.hpp"

namespace gobuildenv::controllers {
namespace {

using nlohmann::json;

crds::Status full_status() {
  crds::Status status;
  status.observed_generation = -1;
  status.conditions = {{"Ready", crds::ConditionStatus::True, 3, "2026-11-22T10:58:50Z", "Served",
                        "revision 0123456789 is served"},
                       {"Other", crds::ConditionStatus::False, 0, "", "Why", "ünïcode"}};
  status.current = "0123456789";
  status.updated = "0123456789";
  status.history = {{"0123456789", 3, "1.22.3", "1", "", "uid-1"},
                    {"aaaaaaaaaa", 1, "1.21.6", "1", "2026-11-21T00:00:00Z", "uid-2"}};
  status.toolchain = {"1.22", "1.22.3", "token", {{"linux", "amd64", "h1:x"}}};
  status.pods_injected = 7;
  status.pods_missed = 1;
  return status;
}

TEST(Status, PackingKeepsEverything) {
  EXPECT_EQ(unpack_status(pack_status(full_status())), full_status());
  EXPECT_EQ(unpack_status(pack_status({})), crds::Status{});
  EXPECT_LT(pack_status(full_status()).size(), 200u);
}

TEST(Status, DamagedPackingIsNoStatus) {
  const std::string packed = pack_status(full_status());
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_EQ(unpack_status(packed.substr(0, size)), crds::Status{}) << size;
  }
  EXPECT_EQ(unpack_status(std::string(64, '\xff')), crds::Status{});
}

TEST(Status, TimesAreMetav1Times) {
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format_time(1795345130), "2026-11-22T10:58:50Z");
  EXPECT_EQ(parse_time("2026-11-22T10:58:50Z"), 1795345130);
  EXPECT_EQ(parse_time("2026-11-22T11:58:50.25+01:00"), 1795345130);
  for (const char* bad : {"", "now", "2026-13-01T00:00:00Z", "2026-11-22 10:58:50Z",
                          "2026-11-22T10:58:50", "2026-11-22T10:58:50+1"}) {
    EXPECT_EQ(parse_time(bad), 0) << bad;
  }
}

json environment(std::int64_t ready_generation) {
  return {{"metadata",
           {{"name", "app"},
            {"namespace", "ns"},
            {"uid", "28030bae-247d-4fa7-b3af-1e125eb27dd0"},
            {"resourceVersion", "7"},
            {"generation", 2},
            {"annotations", {{std::string(goenv::kResolveAnnotation), "t1"}}}}},
          {"spec",
           {{"toolchain", {{"version", "1.22.3"}}},
            {"revisionHistoryLimit", 5},
            {"export", {{"configMapName", "go-env"}}},
            {"injection",
             {{"podSelector",
               {{"matchLabels", {{"a", "b"}}},
                {"matchExpressions", {{{"key", "c"}, {"operator", "In"}, {"values", {"d"}}}}}}}}}}},
          {"status",
           {{"observedGeneration", ready_generation},
            {"conditions",
             {{{"type", "Ready"}, {"status", "True"}, {"observedGeneration", ready_generation}}}},
            {"revisions", {{"current", "0123456789"}}}}}};
}

TEST(EnvironmentRecord, KeepsTheSpecOnlyUntilItIsServed) {
  const auto behind = decode_environment(environment(1).dump());
  ASSERT_TRUE(behind) << behind.error();
  EXPECT_EQ(json::parse(behind->value->rare().spec), environment(1)["spec"]);
  const auto settled = decode_environment(environment(2).dump());
  ASSERT_TRUE(settled);
  const EnvironmentRecord& record = *settled->value;
  EXPECT_EQ(record.rare().spec, "");
  EXPECT_EQ(settled->meta.key, (kube::ObjectKey{"ns", "app"}));
  EXPECT_EQ(settled->meta.resource_version, "7");
  EXPECT_EQ(record.generation, 2);
  EXPECT_EQ(record.history_limit, 5);
  EXPECT_EQ(record.current, "0123456789");
  EXPECT_EQ(record.rare().resolve, "t1");
  EXPECT_EQ(record.rare().export_name, "go-env");
  ASSERT_TRUE(record.rare().selecting);
  EXPECT_EQ(record.rare().selecting->name, "app");
  EXPECT_EQ(record.rare().selecting->selector.match_labels.at("a"), "b");
  EXPECT_EQ(record.rare().selecting->selector.match_expressions.at(0).values.at(0), "d");
}

/// A revision's ConfigMap as the API server gives it back.
json config_map(const std::map<std::string, std::string>& data, const std::string& salt = {}) {
  ConfigMapBody body;
  body.key = {"ns",
              goenv::config_map_name("my-app", goenv::content_hash(data, salt, crds::sha256_hex))};
  body.environment = "my-app";
  body.owner_uid = "28030bae-247d-4fa7-b3af-1e125eb27dd0";
  if (!salt.empty()) body.annotations[std::string(goenv::kSaltAnnotation)] = salt;
  json out = json::parse(encode_config_map(body, data));
  out["metadata"]["uid"] = "00000000-0000-0000-0000-000000000001";
  return out;
}

const std::map<std::string, std::string> kData{{"go.env", "A=b\n"},
                                               {"pod.json", R"({"format":1})"}};

TEST(ConfigMapRecord, VerifiesWhatWeMade) {
  for (const char* salt : {"", "1"}) {
    const json object = config_map(kData, salt);
    const auto content = read_config_map(object.dump());
    ASSERT_TRUE(content) << content.error();
    EXPECT_TRUE(content->intact);
    EXPECT_EQ(content->pod_json, R"({"format":1})");
    // And from the metadata alone, as the cache gets it.
    const auto decoded = decode_config_map(
        json{{"kind", "PartialObjectMetadata"}, {"metadata", object["metadata"]}}.dump());
    ASSERT_TRUE(decoded) << decoded.error();
    for (const auto& record : {content->record, decoded->value}) {
      EXPECT_TRUE(record->managed);
      EXPECT_EQ(record->owner, Uid::of("28030bae-247d-4fa7-b3af-1e125eb27dd0"));
      EXPECT_EQ(record->rare().salt, salt);
      EXPECT_EQ(environments_of(decoded->meta.key, *record), std::vector<std::string>{"my-app"});
    }
  }
}

TEST(ConfigMapRecord, MetadataIsAllOfThis) {
  ConfigMapBody body;
  body.key = {"ns", "my-app-0123456789"};
  body.environment = "my-app";
  body.owner_uid = "uid-1";
  const json expected{
      {"name", "my-app-0123456789"},
      {"namespace", "ns"},
      {"labels",
       {{"app.kubernetes.io/managed-by", "gobuildenv"}, {"gobuildenv.dev/env", "my-app"}}},
      {"annotations", {{"argocd.argoproj.io/ignore-resource-updates", "true"}}},
      {"ownerReferences", json::array({{{"apiVersion", "gobuildenv.dev/v1alpha1"},
                                        {"kind", "GoBuildEnv"},
                                        {"name", "my-app"},
                                        {"uid", "uid-1"},
                                        {"controller", true},
                                        {"blockOwnerDeletion", true}}})}};
  EXPECT_EQ(json::parse(encode_config_map(body, kData))["metadata"], expected);
}

TEST(ConfigMapRecord, NoticesEveryChange) {
  const std::vector<std::pair<const char*, std::function<void(json&)>>> changes{
      {"a value", [](json& map) { map["data"]["go.env"] = "A=c\n"; }},
      {"a key more", [](json& map) { map["data"]["x"] = ""; }},
      {"a key less", [](json& map) { map["data"].erase("go.env"); }},
      {"no data", [](json& map) { map.erase("data"); }},
      {"binary data",
       [](json& map) {
         map["binaryData"] = {{"x", "AA=="}};
       }},
      {"mutable", [](json& map) { map["immutable"] = false; }},
      {"another name", [](json& map) { map["metadata"]["name"] = "my-app-0000000000"; }},
  };
  for (const auto& [name, change] : changes) {
    json map = config_map(kData);
    change(map);
    const auto content = read_config_map(map.dump());
    ASSERT_TRUE(content) << name;
    EXPECT_FALSE(content->intact) << name;
    EXPECT_EQ(content->pod_json, "") << name;
  }
  json unowned = config_map(kData);
  unowned["metadata"]["ownerReferences"][0]["controller"] = false;
  EXPECT_TRUE(decode_config_map(unowned.dump())->value->owner.empty());
}

// Of an immutable ConfigMap the data stays; the annotations anybody may edit.
TEST(Records, AnnotationsDoNotDecideWhetherARevisionIsIntact) {
  for (const std::string salt : {"", "1", "42"}) {
    SCOPED_TRACE("salt " + salt);
    json map = config_map(kData);
    map["metadata"]["name"] = "my-app-" + goenv::content_hash(kData, salt, crds::sha256_hex);
    for (const json& annotations :
         {json::object(), json{{std::string(goenv::kSaltAnnotation), "9"}},
          json{{std::string(goenv::kSaltAnnotation), salt}},
          json{{std::string(kContentAnnotation), "x"},
               {std::string(goenv::kRevisionAnnotation), "y"}}}) {
      map["metadata"]["annotations"] = annotations;
      const auto content = read_config_map(map.dump());
      ASSERT_TRUE(content);
      EXPECT_TRUE(content->intact) << annotations;
      EXPECT_FALSE(content->record->is_export) << annotations;
      EXPECT_EQ(content->record->rare().salt, salt);
      EXPECT_EQ("my-app-" + content->record->hash, map["metadata"]["name"]);
      EXPECT_EQ(content->pod_json, kData.at("pod.json"));
    }
  }
}

TEST(PodRecord, SaysWhatWasAskedAndGot) {
  json pod{{"metadata",
            {{"name", "p"},
             {"namespace", "ns"},
             {"creationTimestamp", "2026-11-22T10:58:50Z"},
             {"labels", {{std::string(goenv::kEnvLabel), "app"}}}}},
           {"status", {{"phase", "Pending"}}}};
  const auto decode = [](const json& object) { return *decode_pod(object.dump())->value; };
  EXPECT_EQ(*decode(pod).environment, "app");
  EXPECT_FALSE(decode(pod).revision);
  EXPECT_TRUE(decode(pod).pending);
  EXPECT_FALSE(decode(pod).answered);
  EXPECT_EQ(decode(pod).created, 1795345130);
  json windows = pod;
  windows["spec"]["os"]["name"] = "windows";
  EXPECT_TRUE(decode(windows).answered);
  json listener = pod;
  listener["metadata"]["labels"]["app.kubernetes.io/component"] = "runner-scale-set-listener";
  EXPECT_TRUE(decode(listener).answered) << "a CI system's own is left alone on purpose";
  pod["metadata"]["annotations"][std::string(goenv::kRevisionAnnotation)] = "0123456789";
  pod["status"]["phase"] = "Succeeded";
  EXPECT_EQ(*decode(pod).revision, "0123456789");
  EXPECT_TRUE(decode(pod).finished);
  EXPECT_EQ(decode(pod).revision.get(), decode(pod).revision.get());
}

TEST(PodRecord, KnowsTheEnvironmentThatChoseThePod) {
  json pod{{"metadata",
            {{"name", "p"},
             {"namespace", "ns"},
             {"labels", {{std::string(goenv::kRevisionLabel), "0123456789"}}},
             {"annotations", {{std::string(goenv::kEnvironmentAnnotation), "app"}}}}}};
  const auto record = decode_pod(pod.dump())->value;
  EXPECT_EQ(*record->environment, "app");
  EXPECT_EQ(*record->revision, "0123456789");
  // The label of a revision written by hand, and no more.
  pod["metadata"].erase("annotations");
  const auto by_hand = decode_pod(pod.dump());
  ASSERT_TRUE(by_hand);
  EXPECT_EQ(*by_hand->value->environment, "");
  EXPECT_TRUE(pod_index().keys(by_hand->meta.key, *by_hand->value).empty());
}

TEST(Records, RefuseWhatIsNoObject) {
  for (const char* bad :
       {"", "[]", "{", "{}", R"({"metadata":{}})", R"({"metadata":{"name":1}})"}) {
    EXPECT_FALSE(decode_config_map(bad)) << bad;
    EXPECT_FALSE(read_config_map(bad)) << bad;
    EXPECT_FALSE(decode_pod(bad)) << bad;
    EXPECT_FALSE(decode_environment(bad)) << bad;
  }
}

TEST(Uid, TellsUidsApart) {
  const char* const uuid = "28030bae-247d-4fa7-b3af-1e125eb27dd0";
  EXPECT_TRUE(Uid::of("").empty());
  EXPECT_EQ(Uid::of(uuid), Uid::of(uuid));
  EXPECT_EQ(Uid::of(uuid).bytes[0], 0x28);
  EXPECT_NE(Uid::of(uuid), Uid::of("28030bae-247d-4fa7-b3af-1e125eb27dd1"));
  EXPECT_FALSE(Uid::of("by-hand").empty());
  EXPECT_NE(Uid::of("by-hand"), Uid::of("by-hand2"));
  EXPECT_NE(Uid::of("28030BAE-247D-4FA7-B3AF-1E125EB27DD0"), Uid::of(uuid));
}

}  // namespace
}  // namespace gobuildenv::controllers
