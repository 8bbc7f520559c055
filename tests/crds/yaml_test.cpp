#include "crds/yaml.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>

#include "crds/gobuildenv.hpp"
#include "crds/yaml_scalar.hpp"

namespace gobuildenv::crds {
namespace {

using Json = nlohmann::ordered_json;

std::string one(std::string_view yaml) {
  const auto documents = yaml_to_json(yaml);
  if (!documents) return "error: " + documents.error().message;
  if (documents->size() != 1) return "documents: " + std::to_string(documents->size());
  return documents->front().json;
}

TEST(Yaml, ScalarsAreWhatKubectlMakesOfThem) {
  // Right-hand sides as printed by sigs.k8s.io/yaml 1.6, the library kubectl reads files with.
  struct Case {
    const char* yaml;
    const char* json;
  };
  const Case cases[] = {
      {"yes", "true"},
      {"no", "false"},
      {"on", "true"},
      {"Off", "false"},
      {"y", "true"},
      {"N", "false"},
      {"true", "true"},
      {"TRUE", "true"},
      {"tRUE", R"("tRUE")"},
      {"null", "null"},
      {"~", "null"},
      {"", "null"},
      {"nULL", R"("nULL")"},
      {"1.20", "1.2"},
      {"1.0", "1"},
      {"1e3", "1000"},
      {"1.", "1"},
      {".5", "0.5"},
      {"+1", "1"},
      {"-1", "-1"},
      {"-0", "0"},
      {"0644", "420"},
      {"0o644", "420"},
      {"08", "8"},
      {"0x1F", "31"},
      {"+0x10", "16"},
      {"0b101", "5"},
      {"-0b101", "-5"},
      {"00", "0"},
      {"1_000", "1000"},
      {"1__0", "10"},
      {"1_000.5", "1000.5"},
      {"190:20:30", R"("190:20:30")"},
      {"2001-01-01", R"("2001-01-01")"},
      {"18446744073709551615", "18446744073709551615"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"\"yes\"", R"("yes")"},
      {"'1.20'", R"("1.20")"},
      {"!!str 1", R"("1")"},
      {"!!int \"3\"", "3"},
      {"!foo x", R"("x")"},
      {"=", R"("=")"},
      {"0.1.2", R"("0.1.2")"},
      {"1e400", R"("1e400")"},
      {"0x", R"("0x")"},
      {"_1", R"("_1")"},
      {"1e-7", "1e-07"},
      {"1.22.3", R"("1.22.3")"},
      {"20Gi", R"("20Gi")"},
      {"-trimpath", R"("-trimpath")"},
      {"{b: 1, c: [x, z]}", R"({"b":1,"c":["x","z"]})"},
      {"|\n  x\n  y\n", R"("x\ny\n")"},
      {">-\n  x\n  y\n", R"("x y")"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(one(std::string("a: ") + c.yaml), std::string(R"({"a":)") + c.json + "}") << c.yaml;
  }
}

TEST(Yaml, KeysAnchorsAndMerges) {
  EXPECT_EQ(one("1: x\ntrue: w\n1.5: z"), R"({"1":"x","true":"w","1.5":"z"})");
  EXPECT_EQ(one("b: 1\na: 2"), R"({"b":1,"a":2})") << "keys keep their order";
  EXPECT_EQ(one("x: &x {b: 1}\nk: *x"), R"({"x":{"b":1},"k":{"b":1}})");
  EXPECT_EQ(one("x: &x {b: 1, c: 2}\nk: {<<: *x, b: 3}"),
            R"({"x":{"b":1,"c":2},"k":{"b":3,"c":2}})");
  EXPECT_EQ(one("x: &x {b: 1}\nw: &w {b: 2, d: 1}\nk: {<<: [*x, *w]}"),
            R"({"x":{"b":1},"w":{"b":2,"d":1},"k":{"b":1,"d":1}})");
}

TEST(Yaml, Documents) {
  const auto documents = yaml_to_json("# only a comment\n---\na: 1\n---\n---\nb: |\n  ---x\n...\n");
  ASSERT_TRUE(documents) << documents.error().message;
  ASSERT_EQ(documents->size(), 2U);
  EXPECT_EQ((*documents)[0].line, 2);
  EXPECT_EQ((*documents)[0].json, R"({"a":1})");
  EXPECT_EQ((*documents)[1].json, R"({"b":"---x\n"})");
  EXPECT_TRUE(yaml_to_json("")->empty());
  EXPECT_EQ(one("{\n\t\"a\": [1.20, \"yes\"]\n}\n"), R"({"a":[1.2,"yes"]})") << "JSON with tabs";
  EXPECT_EQ(one(R"({"a":{"x":1},"b":[{"x":2},{"x":3}],"x":4})"),
            R"({"a":{"x":1},"b":[{"x":2},{"x":3}],"x":4})")
      << "a key may be there again in another object";
}

TEST(Yaml, ErrorsNameTheLine) {
  struct Case {
    std::string yaml;
    int line;
    const char* message;
  };
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += "*a" + std::to_string(i - 1) + (j < 9 ? ", " : "]\n");
  }
  const auto nested = [](std::size_t depth) {
    std::string out;
    for (std::size_t i = 0; i < depth; ++i) out += R"({"a":)";
    return out + "1" + std::string(depth, '}');
  };
  ASSERT_TRUE(yaml_to_json(nested(100)));
  std::string wide = "{";
  for (int i = 0; i <= 20'000; ++i) wide += fmt::format(R"({}"k{}":1)", i == 0 ? "" : ",", i);
  wide += "}";
  const Case cases[] = {
      {"a: 1\na: 2", 2, "key \"a\" is there twice"},
      {"a: [", 1, ""},
      {"a: 1\n b: 2", 2, ""},
      {"a: .inf", 1, "JSON has no number for .inf"},
      {"x: 1\n? [a]\n: b", 2, "a key must be"},
      {"a: *nowhere", 1, ""},
      {"a: {<<: 1}", 1, "\"<<\" needs a map"},
      {"a: !!binary aGk=", 1, "!!binary"},
      {std::string(200, '['), 1, ""},
      {std::string(150, '[') + std::string(150, ']'), 1, "too deep"},
      {bomb, 6, "too large"},
      {"a: &a [*a]", 1, "inside what it names"},
      {"a: \xff\xfe", 1, ""},
      {std::string("a: 1\nb: \0", 9), 2, "control characters"},
      {"!a\n? ", 2, ""},
      {"!'|\n? !?\n", 2, "not complete"},
      {"{\n\t\"a\": 1,\n\t\"a\": 2\n}", 3, "key \"a\" is there twice"},
      {R"({"a":{"b":1},"c":[{"d":1,"e":2,"d":3}]})", 1, "key \"d\" is there twice"},
      {nested(101), 1, "too deep"},
      {nested(100'000), 1, "too deep"},
      {wide, 1, "more than 20000 keys"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.yaml.substr(0, 40));
    const auto documents = yaml_to_json(c.yaml);
    ASSERT_FALSE(documents);
    EXPECT_EQ(documents.error().line, c.line) << documents.error().message;
    EXPECT_THAT(documents.error().message, testing::HasSubstr(c.message));
    EXPECT_THAT(documents.error().message, testing::StartsWith("line "));
  }
}

TEST(Yaml, UnquotedVersionGetsItsOwnMessage) {
  const auto spec = decode_spec(one("toolchain: {version: 1.20}"));
  ASSERT_FALSE(spec);
  EXPECT_THAT(describe(spec.error()), testing::HasSubstr("quote it, as in version: \"1.20\""));
}

TEST(Yaml, Writes) {
  const auto yaml = json_to_yaml(
      R"({"apiVersion":"v1","empty":{},"none":[],"list":["a",{"k":1,"l":["x"]},["y"]],"v":"1.20",)"
      R"("t":"yes","text":"a\n  b\n","tight":"a\nb","n":null,"b":true,"url":"https://x:1/y","s":"a: b",)"
      R"("q":"a #b","d":"2001-01-01","e":""})");
  EXPECT_EQ(*yaml,
            "apiVersion: v1\n"
            "empty: {}\n"
            "none: []\n"
            "list:\n"
            "- a\n"
            "- k: 1\n"
            "  l:\n"
            "  - x\n"
            "- - \"y\"\n"
            "v: \"1.20\"\n"
            "t: \"yes\"\n"
            "text: |\n"
            "  a\n"
            "    b\n"
            "tight: |-\n"
            "  a\n"
            "  b\n"
            "\"n\": null\n"
            "b: true\n"
            "url: https://x:1/y\n"
            "s: \"a: b\"\n"
            "q: \"a #b\"\n"
            "d: \"2001-01-01\"\n"
            "e: \"\"\n");
  EXPECT_EQ(*json_to_yaml(R"("a\nb")"), "\"a\\nb\"\n");
  EXPECT_FALSE(json_to_yaml("{"));
}

rc::Gen<std::string> any_string() {
  return rc::gen::oneOf(
      rc::gen::container<std::string>(rc::gen::inRange<char>(0, 0x7f)),
      rc::gen::container<std::string>(rc::gen::element('a', ' ', '\n', ':', '-', '#', '1', '\t')),
      rc::gen::element<std::string>("yes", "NO", "1.20", "0644", "~", "null", "- a", "a:", "\u2028",
                                    "\u00e4\n", "\x7f", "\ufeff", "\u0085", "!x", "*x", "&x", "|",
                                    "%a", "@a", "`", "{", "}", "<<", "=", "? a", "\U0001f600",
                                    "12:30", "1_0", ".inf", "0x1f", "a\n\n", "a\n b\n\n\nc"));
}

Json any_json(int depth) {
  switch (depth > 3 ? *rc::gen::element(0, 1, 2, 3, 4) : *rc::gen::element(2, 3, 4, 5, 6, 7)) {
    case 0:
      return nullptr;
    case 1:
      return *rc::gen::arbitrary<bool>();
    case 2:
      return *rc::gen::arbitrary<std::int64_t>();
    case 3:
    case 4:
      return *any_string();
    case 5: {
      Json out = Json::array();
      for (int n = *rc::gen::element(0, 1, 2, 3); n > 0; --n) out.push_back(any_json(depth + 1));
      return out;
    }
    default: {
      Json out = Json::object();
      for (int n = *rc::gen::element(0, 1, 2, 3); n > 0; --n)
        out[*any_string()] = any_json(depth + 1);
      return out;
    }
  }
}

TEST(YamlProperty, JsonSurvivesTheRoundTrip) {
  EXPECT_TRUE(rc::check([] {
    const Json value = any_json(0);
    if (value.is_null()) return;  // an empty document
    const auto yaml = json_to_yaml(value.dump());
    RC_ASSERT(yaml.has_value());
    const auto back = yaml_to_json(*yaml);
    RC_LOG() << *yaml;
    if (!back) RC_FAIL(back.error().message);
    RC_ASSERT(back->size() == 1U);
    RC_ASSERT(back->front().json == value.dump());
  }));
}

TEST(YamlProperty, AnyTextGivesAnAnswer) {
  EXPECT_TRUE(rc::check([] {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::element('a', ' ', '\n', ':', '-', '[', ']', '{', '}', '&', '*', '!', '|', '>', '"',
                         '\'', '?', ','));
    (void)yaml_to_json(text);
  }));
}

}  // namespace
}  // namespace gobuildenv::crds
