#include "webhooks/pod/verify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "webhooks/pod/paths.hpp"

/// The check that stands between a fault of ours and a rejected pod.
namespace gobuildenv::webhooks {
namespace {

constexpr std::string_view kPod = R"({"metadata":{"labels":{"a":"b"}},"spec":{
  "volumes":[{"name":"own"}],
  "containers":[{"name":"main","image":"x","env":[{"name":"A"},{"name":"B"}],
                 "volumeMounts":[{"name":"own","mountPath":"/w"}]},{"name":"side"}]}})";

std::string check(const std::string& operations, std::string_view prefix = "") {
  simdjson::dom::parser parser;
  return verify_patch(parser.parse(kPod.data(), kPod.size()), "[" + operations + "]", prefix);
}

TEST(Verify, AcceptsWhatInjectionDoes) {
  const char* accepted[] = {
      R"({"op":"add","path":"/spec/volumes/-","value":{"name":"new"}},
         {"op":"add","path":"/spec/containers/0/volumeMounts/-","value":{"name":"new","mountPath":"/n"}})",
      R"({"op":"replace","path":"/spec/containers/0/env/1","value":{"name":"B","value":"1"}})",
      R"({"op":"add","path":"/spec/containers/1/env","value":[{"name":"A"}]},
         {"op":"add","path":"/spec/containers/1/env/-","value":{"name":"B"}})",
      R"({"op":"add","path":"/spec/containers/1/env","value":[
           {"name":"BEGINNING_ONE_THE_SAME_END"},{"name":"BEGINNING_TWO_THE_SAME_END"}]})",
      R"({"op":"replace","path":"/spec/containers/0/image","value":"y"})",
      R"({"op":"add","path":"/metadata/annotations","value":{"a":"b"}},
         {"op":"add","path":"/metadata/labels/gobuildenv.dev~1revision","value":"r"})",
  };
  for (const char* operations : accepted) EXPECT_EQ(check(operations), "") << operations;
}

TEST(Verify, RefusesTheRest) {
  const std::pair<const char*, const char*> refused[] = {
      {R"({"op":"remove","path":"/spec"})", "operation remove"},
      {R"({"op":"add","path":"/spec/volumes"})", "no value"},
      {R"({"op":"add","path":"","value":{}})", "outside the pod"},
      {R"(1)", "no object"},
      {R"({"op":"add","path":"/spec/volumes","value":[]})", "replace a whole list"},
      {R"({"op":"add","path":"/metadata","value":{}})", "replace all metadata"},
      {R"({"op":"add","path":"/metadata/labels","value":{}})", "replace a whole map"},
      {R"({"op":"add","path":"/metadata/annotations/a","value":"b"})", "has no parent"},
      {R"({"op":"add","path":"/metadata/labels/a","value":1})", "not a string"},
      {R"({"op":"add","path":"/spec/nodeName","value":"n"})", "may not change"},
      {R"({"op":"add","path":"/spec/containers/0/command","value":[]})", "another field"},
      {R"({"op":"add","path":"/spec/containers/7/env","value":[]})", "has no parent"},
      {R"({"op":"add","path":"/spec/containers/1/env/-","value":{"name":"A"}})", "no list"},
      {R"({"op":"replace","path":"/spec/containers/1/imagePullPolicy","value":"Always"})",
       "absent"},
      {R"({"op":"replace","path":"/spec/containers/0/env/2","value":{"name":"C"}})",
       "no such item"},
      {R"({"op":"replace","path":"/spec/containers/0/env/x","value":{"name":"C"}})",
       "no such item"},
      {R"({"op":"add","path":"/spec/containers/0/env/-","value":"C"})", "not an object"},
      {R"({"op":"add","path":"/spec/containers/0/env/-","value":{}})", "without name"},
      {R"({"op":"add","path":"/spec/containers/0/env/-","value":{"name":"A"}})",
       "duplicate name A"},
      {R"({"op":"add","path":"/spec/volumes/-","value":{"name":"own"}})", "duplicate name own"},
      {R"({"op":"add","path":"/spec/containers/1/env","value":[
           {"name":"BEGINNING_ONE_THE_SAME_END"},{"name":"BEGINNING_TWO_THE_SAME_END"},
           {"name":"BEGINNING_ONE_THE_SAME_END"}]})",
       "duplicate name BEGINNING_ONE"},
      {R"({"op":"add","path":"/spec/containers/0/volumeMounts/-",
           "value":{"name":"own","mountPath":"//w/."}})",
       "duplicate mountPath /w"},
      {R"({"op":"add","path":"/spec/containers/1/volumeMounts",
           "value":[{"name":"absent","mountPath":"/x"}]})",
       "which there is not"},
  };
  for (const auto& [operations, reason] : refused) {
    EXPECT_THAT(check(operations), ::testing::HasSubstr(reason)) << operations;
  }
  EXPECT_EQ(check("}"), "the patch is not a JSON list");
  EXPECT_THAT(check(R"({"op":"add","path":"/metadata/labels/x","value":"y"})", "/spec/template"),
              ::testing::HasSubstr("outside the pod"));
}

TEST(Paths, KnowWhenTheyAreClean) {
  for (const char* path : {"", "/", "//", "a", "/a", "/a/", "/a//b", "/a/b", "/.", "/..", "/a/./b",
                           "/a/../b", "/a/..", "/.a/..b/c.", "/...", "./a", "/a/b/c"}) {
    EXPECT_EQ(is_clean_path(path), clean_path(path) == path) << path;
  }
}

}  // namespace
}  // namespace gobuildenv::webhooks
