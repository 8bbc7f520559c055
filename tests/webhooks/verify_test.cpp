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

std::string check_on(std::string_view pod, const std::string& operations) {
  simdjson::dom::parser parser;
  return verify_patch(parser.parse(pod.data(), pod.size()), "[" + operations + "]", "");
}

TEST(Verify, AcceptsWhatInjectionDoes) {
  const char* accepted[] = {
      R"({"op":"add","path":"/metadata/labels/a~0b~1c","value":"d"})",
      R"({"op":"replace","path":"/spec/volumes/0","value":{"name":"own","emptyDir":{}}})",
      R"({"op":"replace","path":"/spec/containers/0/volumeMounts/0",
          "value":{"name":"own","mountPath":"/w/","subPath":"s","readOnly":true}})",
      R"({"op":"add","path":"/spec/containers/0/volumeMounts/-",
          "value":{"name":"new","mountPath":"/n"}},
         {"op":"add","path":"/spec/volumes/-","value":{"name":"new"}})",
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
      // RFC 6901: an escape is ~0 or ~1.
      {R"({"op":"add","path":"/metadata/labels/a~5b","value":"c"})", "bad escape"},
      {R"({"op":"add","path":"/metadata/labels/a~","value":"c"})", "bad escape"},
      {R"({"op":"add","path":"/metadata/labels/~~0","value":"c"})", "bad escape"},
      {R"({"op":"add","path":"/metadata/labels/","value":"c"})", "names no key"},
      {R"({"op":"add","path":"/metadata/labels/a/b","value":"c"})", "may not change"},
      {R"({"op":"add","path":"/metadata/name","value":"c"})", "may not change"},
      // An array's index has no leading zero, and none is as large as this.
      {R"({"op":"replace","path":"/spec/containers/0/env/01","value":{"name":"B"}})",
       "no such item"},
      {R"({"op":"replace","path":"/spec/containers/00/image","value":"y"})", "has no parent"},
      {R"({"op":"replace","path":"/spec/containers/01/env/0","value":{"name":"A"}})",
       "has no parent"},
      {R"({"op":"replace","path":"/spec/containers/18446744073709551616/image","value":"y"})",
       "has no parent"},
      {R"({"op":"replace","path":"/spec/containers//image","value":"y"})", "has no parent"},
      {R"({"op":"replace","path":"/spec/containers/-/image","value":"y"})", "has no parent"},
      {R"({"op":"replace","path":"/spec/containers/0/env/18446744073709551617",
           "value":{"name":"B"}})",
       "no such item"},
      {R"({"op":"replace","path":"/spec/containers/0/env/","value":{"name":"B"}})", "no such item"},
      {R"({"op":"replace","path":"/spec/containers/0/env/1/name","value":"B"})", "may not change"},
      {R"({"op":"add","path":"/spec/containers/0","value":{}})", "may not change"},
      {R"({"op":"add","path":"/spec/containers","value":[]})", "may not change"},
      // Only what is there can be replaced.
      {R"({"op":"replace","path":"/metadata/labels/x","value":"y"})", "replaces"},
      {R"({"op":"replace","path":"/metadata/annotations","value":{}})", "replaces"},
      {R"({"op":"replace","path":"/spec/containers/1/env","value":[]})", "replaces"},
      {R"({"op":"replace","path":"/spec/volumes/1","value":{"name":"x"}})", "no such item"},
      // What an operation before has made counts.
      {R"({"op":"add","path":"/metadata/annotations","value":{"a":"b"}},
          {"op":"add","path":"/metadata/annotations","value":{}})",
       "replace a whole map"},
      {R"({"op":"add","path":"/spec/containers/1/env","value":[{"name":"A"}]},
          {"op":"add","path":"/spec/containers/1/env","value":[]})",
       "replace a whole list"},
      {R"({"op":"add","path":"/spec/containers/1/env","value":[{"name":"A"}]},
          {"op":"add","path":"/spec/containers/1/env/-","value":{"name":"A"}})",
       "duplicate name A"},
      // A replaced item keeps what it is known by.
      {R"({"op":"replace","path":"/spec/containers/0/env/0","value":{"name":"B"}})",
       "another name"},
      {R"({"op":"replace","path":"/spec/volumes/0","value":{"name":"x"}})", "another name"},
      {R"({"op":"replace","path":"/spec/containers/0/volumeMounts/0",
           "value":{"name":"own","mountPath":"/x"}})",
       "another mountPath"},
      // Members that come twice are read differently by every parser.
      {R"({"op":"add","op":"add","path":"/metadata/labels/x","value":"y"})", "op twice"},
      {R"({"op":"add","path":"/a","path":"/metadata/labels/x","value":"y"})", "path twice"},
      {R"({"op":"add","path":"/metadata/labels/x","value":1,"value":"y"})", "value twice"},
      {R"({"op":"add","path":"/metadata/labels/x","value":"y","from":"/a"})", "member from"},
      {R"({"op":"add","path":"/spec/containers/0/env/-","value":{"name":"C","name":"A"}})",
       "name twice"},
      {R"({"op":"add","path":"/spec/containers/0/volumeMounts/-",
           "value":{"name":"own","mountPath":"/x","mountPath":"/w"}})",
       "mountPath twice"},
      // What the API server cannot decode.
      {R"({"op":"add","path":"/spec/containers/0/env/-","value":{"name":"C","value":1}})",
       "value is not a string"},
      {R"({"op":"add","path":"/spec/containers/0/env/-","value":{"name":"C","valueFrom":{}}})",
       "member valueFrom"},
      {R"({"op":"add","path":"/spec/containers/0/volumeMounts/-",
           "value":{"name":"own","mountPath":"/x","readOnly":"yes"}})",
       "readOnly is not a boolean"},
      {R"({"op":"add","path":"/spec/volumes/-","value":{"name":"x","emptyDir":1}})",
       "emptyDir is not an object"},
      {R"({"op":"add","path":"/metadata/annotations","value":{"a":1}})", "not a map of strings"},
      {R"({"op":"add","path":"/metadata/annotations","value":[]})", "not a map of strings"},
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

TEST(Verify, KnowsAPodWithoutMetadata) {
  const char* pods[] = {R"({"spec":{}})", R"({"metadata":null,"spec":{}})"};
  for (const char* pod : pods) {
    const auto check_metadata = [pod](const std::string& value) {
      return check_on(pod, R"({"op":"add","path":"/metadata","value":)" + value + "}");
    };
    EXPECT_EQ(check_metadata(R"({"labels":{"a":"b"},"annotations":{}})"), "") << pod;
    EXPECT_EQ(check_metadata(R"({"labels":{"a":"b"}}},
        {"op":"add","path":"/metadata/labels/c","value":"d"},
        {"op":"add","path":"/metadata/annotations","value":{"e":"f"})"),
              "")
        << pod;
    for (const char* bad : {R"(1)", R"([])", R"({"labels":1})", R"({"labels":{"a":1}})",
                            R"({"name":"x"})", R"({"labels":{},"labels":{}})"}) {
      EXPECT_THAT(check_metadata(bad), ::testing::HasSubstr("/metadata")) << bad;
    }
    EXPECT_THAT(check_metadata(R"({}},{"op":"add","path":"/metadata","value":{})"),
                ::testing::HasSubstr("replace all metadata"));
    EXPECT_THAT(check_on(pod, R"({"op":"replace","path":"/metadata","value":{}})"),
                ::testing::HasSubstr("replaces"));
    EXPECT_THAT(check_on(pod, R"({"op":"add","path":"/metadata/labels","value":{}})"),
                ::testing::HasSubstr("has no parent"));
  }
  EXPECT_THAT(check_on("[]", R"({"op":"add","path":"/metadata","value":{}})"),
              ::testing::HasSubstr("has no parent"));
  EXPECT_THAT(check_on("{}", R"({"op":"add","path":"/spec/volumes","value":[]})"),
              ::testing::HasSubstr("has no parent"));
}

TEST(Verify, MakesListsWherePodsHaveNull) {
  const char* pod = R"({"spec":{"volumes":null,"containers":[{"name":"a","env":null}]}})";
  EXPECT_EQ(check_on(pod, R"({"op":"add","path":"/spec/volumes","value":[{"name":"v"}]},
      {"op":"add","path":"/spec/containers/0/env","value":[{"name":"A","value":"1"}]},
      {"op":"add","path":"/spec/containers/0/env/-","value":{"name":"B","value":"2"}})"),
            "");
}

TEST(Verify, LeavesDuplicatesOfThePodAlone) {
  const char* pod =
      R"({"spec":{"containers":[{"env":[{"name":"A"},{"name":"A"},1,{"name":"SHORT"}]}]}})";
  EXPECT_EQ(check_on(pod, R"({"op":"replace","path":"/spec/containers/0/env/0",
                              "value":{"name":"A","value":"1"}},
                             {"op":"replace","path":"/spec/containers/0/env/1",
                              "value":{"name":"A","value":"1"}})"),
            "");
  EXPECT_THAT(check_on(pod, R"({"op":"replace","path":"/spec/containers/0/env/2",
                                "value":{"name":"B"}})"),
              ::testing::HasSubstr("another name"));
}

TEST(Verify, ComparesNamesOfEveryLength) {
  // Names of one to forty characters, and the same with one character changed anywhere.
  for (std::size_t length = 1; length <= 40; ++length) {
    std::string name;
    for (std::size_t i = 0; i < length; ++i) name += static_cast<char>('A' + i % 26);
    const std::string pod = R"({"spec":{"volumes":[{"name":")" + name + R"("}]}})";
    const auto add = [&pod](const std::string& added) {
      return check_on(pod,
                      R"({"op":"add","path":"/spec/volumes/-","value":{"name":")" + added + "\"}}");
    };
    EXPECT_THAT(add(name), ::testing::HasSubstr("duplicate name " + name));
    for (std::size_t i = 0; i < length; ++i) {
      std::string other = name;
      other[i] = '_';
      EXPECT_EQ(add(other), "") << other;
    }
    EXPECT_EQ(add(name + "A"), "");
  }
}

TEST(Paths, KnowWhenTheyAreClean) {
  for (const char* path : {"", "/", "//", "a", "/a", "/a/", "/a//b", "/a/b", "/.", "/..", "/a/./b",
                           "/a/../b", "/a/..", "/.a/..b/c.", "/...", "./a", "/a/b/c"}) {
    EXPECT_EQ(is_clean_path(path), clean_path(path) == path) << path;
  }
}

}  // namespace
}  // namespace gobuildenv::webhooks
