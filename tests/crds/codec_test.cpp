#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "crds/digest.hpp"
#include "crds/gobuildenv.hpp"
#include "crds/yaml.hpp"

namespace gobuildenv::crds {
namespace {

constexpr std::string_view kFull = R"({
  "apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoBuildEnv",
  "metadata": {"name": "ci", "namespace": "team", "uid": "u-1", "resourceVersion": "42",
    "generation": 3, "labels": {"a": "b"},
    "annotations": {"gobuildenv.dev/resolve": "2", "other": "x"},
    "managedFields": [{"manager": "kubectl"}]},
  "spec": {
    "toolchain": {"version": "1.22.3", "delivery": "Download", "switching": "AllowNewer",
      "sums": [{"os": "linux", "arch": "amd64", "sum": "h1:x"}]},
    "cgo": {"policy": "Enabled", "cc": "clang", "cflags": ["-O2"]},
    "flags": ["-trimpath", "-ldflags=-s -w"],
    "platforms": [{"os": "linux", "arch": "arm64"}],
    "modules": {"proxies": [{"url": "https://goproxy.example", "fallback": "AnyError"},
                            {"url": "direct"}],
      "private": ["git.example/*"], "sumDB": "off", "credentialsSecretRef": {"name": "netrc"},
      "caBundle": {"configMapKeyRef": {"name": "ca", "key": "ca.crt"}}},
    "conda": {"prefix": "/opt/mamba", "environment": "build", "environmentExists": true},
    "workspace": {"goWork": {"mode": "Path", "path": "/w/go.work"}},
    "cache": {"modules": {"scope": "Namespace"}, "retention": {"unusedFor": "24h", "maxSize": "5Gi"}},
    "variables": {"GOEXPERIMENT": "rangefunc"},
    "injection": {"podSelector": {"matchLabels": {"app": "x"},
        "matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]},
      "containers": {"include": ["main"]}, "enforcement": "Enforce", "launcherPaths": []},
    "export": {"configMapName": "go-env"},
    "revisionHistoryLimit": 5, "unknown": {"deep": [1]}
  },
  "status": {"observedGeneration": 2,
    "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2,
      "lastTransitionTime": "2024-01-01T00:00:00Z", "reason": "Serving", "message": "m"}],
    "revisions": {"current": "0123456789", "updated": "abcdefabcd"},
    "toolchain": {"requested": "1.22", "version": "1.22.3", "resolveToken": "1"},
    "pods": {"injected": 4, "missed": 1}}
})";

TEST(Codec, DecodesEveryPart) {
  const auto object = decode(kFull);
  ASSERT_TRUE(object) << describe(object.error());
  const auto& spec = object->spec;
  EXPECT_EQ(object->metadata.resolve(), "2");
  EXPECT_EQ(object->metadata.generation, 3);
  EXPECT_EQ(spec.toolchain.delivery, goenv::Delivery::Download);
  EXPECT_EQ(spec.toolchain.sums.at(0).sum, "h1:x");
  EXPECT_EQ(spec.cgo.policy, goenv::CgoPolicy::Enabled);
  EXPECT_EQ(spec.modules.proxies.at(0).fallback, goenv::ProxyFallback::AnyError);
  EXPECT_EQ(spec.modules.proxies.at(1).fallback, goenv::ProxyFallback::NotFound);
  EXPECT_EQ(spec.modules.credentials_secret, "netrc");
  EXPECT_EQ(spec.modules.ca_bundle->key, "ca.crt");
  EXPECT_EQ(spec.conda.prefix, "/opt/mamba");
  EXPECT_EQ(spec.workspace.go_work.path, "/w/go.work");
  EXPECT_EQ(spec.cache.modules, goenv::CacheScope::Namespace);
  EXPECT_EQ(spec.cache.unused_for, std::chrono::hours(24));
  EXPECT_EQ(spec.cache.max_size_bytes, std::int64_t{5} << 30);
  EXPECT_EQ(spec.injection.pod_selector->match_expressions.at(0).op, "In");
  ASSERT_TRUE(spec.injection.launcher_paths);
  EXPECT_TRUE(spec.injection.launcher_paths->empty());
  EXPECT_EQ(spec.revision_history_limit, 5);
  EXPECT_EQ(object->status.find(kReady)->status, ConditionStatus::True);
  EXPECT_EQ(object->status.find(kStalled), nullptr);
  EXPECT_EQ(object->status.toolchain.requested, "1.22");
  EXPECT_EQ(object->status.pods_injected, 4);
}

TEST(Codec, MinimalSpecGetsTheDefaults) {
  const auto spec = decode_spec(R"({"toolchain": {"version": "1.22"}, "cgo": null})");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->cgo.policy, goenv::CgoPolicy::Disabled);
  EXPECT_EQ(spec->conda.prefix, "/opt/conda");
  EXPECT_EQ(spec->cache.unused_for, std::chrono::hours(168));
  EXPECT_FALSE(spec->injection.launcher_paths);
}

TEST(Codec, ErrorsNameFieldValueAndFix) {
  struct Case {
    const char* spec;
    const char* field;
    const char* value;
    const char* message;
  };
  const Case cases[] = {
      {R"({"toolchain": {"version": 1.2}})", "spec.toolchain.version", "1.2", "quote it"},
      {R"({"cgo": {"policy": "disabled"}})", "spec.cgo.policy", "\"disabled\"",
       "must be one of Disabled, Enabled, Auto"},
      {R"({"cgo": []})", "spec.cgo", "array", "must be an object"},
      {R"({"flags": "-x"})", "spec.flags", "\"-x\"", "must be a list"},
      {R"({"flags": ["-x", 7]})", "spec.flags[1]", "7", "put it in quotes"},
      {R"({"variables": {"GOAMD64": 3}})", "spec.variables.GOAMD64", "3", "put it in quotes"},
      {R"({"variables": ["A=b"]})", "spec.variables", "array", "must be a map"},
      {R"({"modules": {"proxies": ["direct"]}})", "spec.modules.proxies[0]", "\"direct\"",
       "must be an object"},
      {R"({"modules": {"proxies": [{"url": {"u": "https://me:secret@h"}}]}})",
       "spec.modules.proxies[0].url", "object", "must be a string"},
      {R"({"conda": {"environmentExists": "yes"}})", "spec.conda.environmentExists", "\"yes\"",
       "true or false"},
      {R"({"cache": {"retention": {"unusedFor": "7d"}}})", "spec.cache.retention.unusedFor",
       "\"7d\"", "duration"},
      {R"({"cache": {"retention": {"maxSize": "20 GB"}}})", "spec.cache.retention.maxSize",
       "\"20 GB\"", "size such as"},
      {R"({"revisionHistoryLimit": 2.5})", "spec.revisionHistoryLimit", "2.5", "whole number"},
      {R"({"revisionHistoryLimit": 99999999999})", "spec.revisionHistoryLimit", "99999999999",
       "whole number"},
      {R"({"revisionHistoryLimit": 18446744073709551615})", "spec.revisionHistoryLimit",
       "18446744073709551615", "whole number"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.spec);
    const auto spec = decode_spec(c.spec);
    ASSERT_FALSE(spec);
    ASSERT_EQ(spec.error().size(), 1U) << describe(spec.error());
    EXPECT_EQ(spec.error()[0].field, c.field);
    EXPECT_EQ(spec.error()[0].value, c.value);
    EXPECT_THAT(spec.error()[0].message, testing::HasSubstr(c.message));
  }
}

TEST(Codec, CollectsEveryError) {
  const auto spec = decode_spec(R"({"cgo": {"policy": 1, "cc": 2}, "flags": {}})");
  ASSERT_FALSE(spec);
  EXPECT_EQ(spec.error().size(), 3U);
}

TEST(Codec, RefusesWhatIsNoGoBuildEnv) {
  for (const char* text :
       {"", "null", "[]", "{", R"({"kind": "GoBuildEnv"})",
        R"({"apiVersion": "gobuildenv.dev/v1alpha1", "kind": "GoBuildEnv"})",
        R"({"apiVersion": "v1", "kind": "GoBuildEnv", "spec": {}})",
        R"({"apiVersion": "gobuildenv.dev/v1alpha1", "kind": "Pod", "spec": {}})"}) {
    EXPECT_FALSE(decode(text)) << text;
  }
}

TEST(Summary, KeepsSpecTextAndStatus) {
  const auto summary = summarize(kFull);
  ASSERT_TRUE(summary) << summary.error();
  EXPECT_EQ(summary->metadata.name, "ci");
  EXPECT_EQ(summary->metadata.uid, "u-1");
  EXPECT_EQ(summary->metadata.resource_version, "42");
  EXPECT_EQ(summary->metadata.generation, 3);
  EXPECT_EQ(summary->metadata.resolve(), "2");
  EXPECT_EQ(summary->metadata.annotations.size(), 1U);
  const auto whole = decode(kFull);
  EXPECT_EQ(summary->status, whole->status);
  const auto spec = decode_spec(summary->spec_json);
  ASSERT_TRUE(spec);
  EXPECT_EQ(encode_spec(*spec), encode_spec(whole->spec));
}

TEST(Summary, MalformedObjectsAreErrorsMalformedStatusIsNot) {
  for (const char* text :
       {"", "[]", "{\"metadata\": ", R"({"metadata": {"name": 1}, "spec": {}})",
        R"({"metadata": {"name": "a"}})", R"({"metadata": {"name": "a"}, "spec": []})",
        R"({"metadata": {"name": "a", "generation": "x"}, "spec": {}})",
        R"({"metadata": [], "spec": {}})", R"({"metadata": {"annotations": 1}, "spec": {}})"}) {
    EXPECT_FALSE(summarize(text)) << text;
  }
  const auto odd =
      summarize(R"({"metadata": {"name": "a"}, "spec": {}, "status": {"conditions": 7}})");
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->status, Status{});
}

TEST(Status, TextHoldsWhatThereIs) {
  Status status;
  EXPECT_EQ(encode_status(status), R"({"observedGeneration":0,"conditions":[],)"
                                   R"("pods":{"injected":0,"missed":0}})");
  status.observed_generation = 2;
  status.conditions.push_back({"Ready", ConditionStatus::True, 2, "t", "Why", "a \"b\"\n"});
  status.current = status.updated = "0123456789";
  status.history.push_back({"0123456789", 2, "1.22.3", "1", "", "u-2"});
  status.history.push_back({"abcdef0123", 1, "", "", "s", ""});
  status.toolchain = {"1.22", "1.22.3", "", {{"linux", "amd64", "h1:x="}}};
  status.nodes_desired = 3;
  status.pods_missed = 4;
  EXPECT_EQ(encode_status(status),
            R"({"observedGeneration":2,"conditions":[{"type":"Ready","status":"True",)"
            R"("observedGeneration":2,"lastTransitionTime":"t","reason":"Why",)"
            R"("message":"a \"b\"\n"}],)"
            R"("revisions":{"current":"0123456789","updated":"0123456789"},)"
            R"("history":[{"name":"0123456789","generation":2,"toolchain":"1.22.3",)"
            R"("rendererVersion":"1","uid":"u-2"},{"name":"abcdef0123","generation":1,)"
            R"("supersededAt":"s"}],"toolchain":{"requested":"1.22","version":"1.22.3",)"
            R"("sums":[{"os":"linux","arch":"amd64","sum":"h1:x="}]},)"
            R"("nodes":{"ready":0,"desired":3},"pods":{"injected":0,"missed":4}})");
}

TEST(Status, WhatTheSchemaDoesNotSayCountsAsNone) {
  const std::vector<std::string> odd = {R"([])",
                                        R"({"observedGeneration":"1"})",
                                        R"({"conditions":[7]})",
                                        R"({"conditions":[{"status":"Maybe"}]})",
                                        R"({"conditions":[{"message":[]}]})",
                                        R"({"nodes":{"ready":3000000000}})",
                                        R"({"pods":[]})",
                                        R"({"revisions":"x"})",
                                        R"({"history":{}})",
                                        R"({"toolchain":{"sums":[{"os":1}]}})"};
  for (const std::string& text : odd) {
    const std::string object = R"({"apiVersion":"gobuildenv.dev/v1alpha1","kind":"GoBuildEnv",)"
                               R"("metadata":{"name":"a"},"spec":{"toolchain":{"version":"1.22"}},)"
                               R"("status":)" +
                               text + R"(,"after":1})";
    const auto summary = summarize(object);
    ASSERT_TRUE(summary) << text;
    EXPECT_EQ(summary->status, Status{}) << text;
    EXPECT_EQ(summary->spec_json, R"({"toolchain":{"version":"1.22"}})") << text;
    const auto whole = decode(object);
    ASSERT_FALSE(whole) << text;
    EXPECT_EQ(whole.error().front().field, "status") << text;
  }
  const auto nulls = summarize(
      R"({"metadata":{"name":"a"},"spec":{},"status":{"conditions":null,"nodes":null,)"
      R"("history":[{"uid":null,"more":[1,{"x":[]}]}],"unknown":{"a":[1,2]},"pods":{"missed":2}}})");
  ASSERT_TRUE(nulls);
  EXPECT_EQ(nulls->status.history.size(), 1U);
  EXPECT_EQ(nulls->status.pods_missed, 2);
}

TEST(Digest, Sha256OfKnownTexts) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

using Json = nlohmann::json;

/// An object with every field of a schema, each as empty as it can be. `paths`: of the objects.
Json every_field(const Json& schema, const std::string& path, std::vector<std::string>& paths) {
  if (schema.contains("items")) return {every_field(schema["items"], path + "[0]", paths)};
  if (!schema.contains("properties")) return nullptr;
  paths.push_back(path);
  Json out = Json::object();
  for (const auto& [name, field] : schema["properties"].items()) {
    out[name] = every_field(field, path + "." + name, paths);
  }
  return out;
}

TEST(UnknownFields, AreThoseThatTheSchemaDoesNotHave) {
  std::ifstream file(std::string(GBE_SOURCE_DIR) + "/crds/gobuildenvs.yaml");
  std::stringstream text;
  text << file.rdbuf();
  const auto documents = yaml_to_json(text.str());
  ASSERT_TRUE(documents) << documents.error().message;
  const Json crd = Json::parse(documents->front().json);
  const Json& schema =
      crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
  std::vector<std::string> paths;
  const Json whole{{"spec", every_field(schema, "spec", paths)}};
  EXPECT_EQ(describe(unknown_fields(whole.dump())), "");
  EXPECT_GT(paths.size(), 15U);
  for (const std::string& path : paths) {
    std::string pointer = "/" + path + ".zzz";
    for (char& c : pointer) c = c == '.' || c == '[' ? '/' : c;
    std::erase(pointer, ']');
    Json odd = whole;
    odd[Json::json_pointer(pointer)] = 1;
    const Errors errors = unknown_fields(odd.dump());
    ASSERT_EQ(errors.size(), 1U) << path;
    EXPECT_EQ(errors[0].field, path + ".zzz");
    EXPECT_THAT(errors[0].message, ::testing::HasSubstr(path + " has "));
  }
  for (const char* odd : {"", "[]", "{}", R"({"spec":[]})", R"({"spec":null})"}) {
    EXPECT_TRUE(unknown_fields(odd).empty()) << odd;
  }
}

}  // namespace
}  // namespace gobuildenv::crds
