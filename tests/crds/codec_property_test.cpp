#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "crds/gobuildenv.hpp"
#include "goenv/enum_names.hpp"

namespace gobuildenv::crds {
namespace {

using goenv::Spec;

rc::Gen<std::string> word() {
  return rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~')));
}

rc::Gen<std::vector<std::string>> words() {
  return rc::gen::container<std::vector<std::string>>(word());
}

template <class E>
E any_enum() {
  // elementOf is uniform; inRange would favour the first names.
  return (*rc::gen::elementOf(goenv::EnumNames<E>::kNames)).first;
}

Spec any_spec() {
  Spec s;
  s.toolchain.version = *word();
  s.toolchain.delivery = any_enum<goenv::Delivery>();
  s.toolchain.switching = any_enum<goenv::Switching>();
  for (const auto& w : *words()) s.toolchain.sums.push_back({w, "amd64", w});
  s.cgo.policy = any_enum<goenv::CgoPolicy>();
  s.cgo.cc = *rc::gen::arbitrary<bool>() ? *word() : "";
  s.cgo.cflags = *words();
  s.cgo.ldflags = *words();
  s.flags = *words();
  for (const auto& w : *words()) s.platforms.push_back({"linux", w});
  for (const auto& w : *words()) {
    s.modules.proxies.push_back({w, any_enum<goenv::ProxyFallback>()});
  }
  s.modules.private_patterns = *words();
  s.modules.no_sum_db = *words();
  s.modules.credentials_secret = *rc::gen::arbitrary<bool>() ? *word() : "";
  if (*rc::gen::arbitrary<bool>()) s.modules.ca_bundle = {*word(), *word()};
  s.conda.environment = *rc::gen::arbitrary<bool>() ? *word() : "";
  s.conda.environment_exists = *rc::gen::arbitrary<bool>();
  s.conda.activation = any_enum<goenv::Activation>();
  s.workspace.go_work.mode = any_enum<goenv::GoWorkMode>();
  s.workspace.go_path = *rc::gen::arbitrary<bool>() ? *word() : "";
  s.cache.modules = any_enum<goenv::CacheScope>();
  s.cache.build = any_enum<goenv::CacheScope>();
  s.cache.unused_for = std::chrono::seconds(*rc::gen::inRange<std::int64_t>(0, 100'000'000));
  s.cache.max_size_bytes = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 50);
  for (const auto& w : *words()) s.variables[w] = w;
  if (*rc::gen::arbitrary<bool>()) {
    auto& selector = s.injection.pod_selector.emplace();
    for (const auto& w : *words()) selector.match_labels[w] = w;
    for (const auto& w : *words()) selector.match_expressions.push_back({w, "In", *words()});
  }
  s.injection.include = *words();
  s.injection.enforcement = any_enum<goenv::Enforcement>();
  s.injection.preflight = any_enum<goenv::Preflight>();
  if (*rc::gen::arbitrary<bool>()) s.injection.launcher_paths = *words();
  s.export_config_map = *rc::gen::arbitrary<bool>() ? *word() : "";
  s.revision_history_limit = *rc::gen::inRange(0, 1000);
  return s;
}

TEST(CodecProperty, SpecSurvivesTheRoundTrip) {
  EXPECT_TRUE(rc::check("decode(encode(spec)) encodes the same, and nothing is lost", [] {
    const Spec spec = any_spec();
    const std::string text = encode_spec(spec);
    const auto back = decode_spec(text);
    RC_ASSERT(back.has_value());
    RC_ASSERT(encode_spec(*back) == text);
    RC_ASSERT(back->flags == spec.flags);
    RC_ASSERT(back->variables == spec.variables);
    RC_ASSERT(back->cgo.policy == spec.cgo.policy);
    RC_ASSERT(back->cache.unused_for == spec.cache.unused_for);
    RC_ASSERT(back->cache.max_size_bytes == spec.cache.max_size_bytes);
    RC_ASSERT(back->injection.launcher_paths == spec.injection.launcher_paths);
    RC_ASSERT(back->modules.proxies.size() == spec.modules.proxies.size());
  }));
}

TEST(CodecProperty, StatusSurvivesTheRoundTrip) {
  EXPECT_TRUE(rc::check("status in an object comes back equal, by both readers", [] {
    Status s;
    s.observed_generation = *rc::gen::inRange<std::int64_t>(0, 1'000'000);
    for (const auto& w : *words()) {
      s.conditions.push_back({w, ConditionStatus::False, 1, "2024-01-01T00:00:00Z", w, w});
    }
    for (const auto& w : *words()) s.history.push_back({w, 2, w, "r1", "", w});
    s.current = *word();
    s.toolchain.version = *word();
    s.toolchain.sums.push_back({"linux", "amd64", *word()});
    s.pods_missed = *rc::gen::inRange(0, 1000);
    const std::string object = R"({"apiVersion":"gobuildenv.dev/v1alpha1","kind":"GoBuildEnv",)"
                               R"("metadata":{"name":"x"},"spec":{},"status":)" +
                               encode_status(s) + "}";
    RC_ASSERT(decode(object)->status == s);
    RC_ASSERT(summarize(object)->status == s);
  }));
}

TEST(CodecProperty, AnyTextGivesAnAnswer) {
  EXPECT_TRUE(rc::check("no text makes a decoder throw", [] {
    const auto text = *rc::gen::arbitrary<std::string>();
    (void)decode(text);
    (void)decode_spec(text);
    (void)summarize(text);
  }));
}

}  // namespace
}  // namespace gobuildenv::crds
