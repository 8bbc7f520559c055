#include "webhooks/certificates/rotation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace gobuildenv::webhooks::certificates {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const TimePoint kStart = std::chrono::system_clock::from_time_t(1'800'000'000);

RotationOptions options() {
  RotationOptions result;
  result.dns_names = service_names("gobuildenv-webhook", "gobuildenv-system");
  result.ip_addresses = {"127.0.0.1"};
  return result;
}

Stored fresh(TimePoint now) { return *advance(Step::CreateAll, std::nullopt, now, options()); }

Observed seen(const Stored& stored, TimePoint now) {
  return {now, stored, {bundle(stored), bundle(stored)}, kStart};
}

TEST(KeyPair, CaAndLeafAreWhatTheySay) {
  const Stored stored = fresh(kStart);
  const auto ca = check_pair(stored.ca);
  const auto leaf = check_pair(stored.leaf);
  ASSERT_TRUE(ca && leaf);
  EXPECT_TRUE(ca->is_ca);
  EXPECT_FALSE(leaf->is_ca);
  EXPECT_EQ(ca->not_after, kStart + hours(24 * 365));
  EXPECT_EQ(leaf->not_before, kStart - kBackdate);
  EXPECT_EQ(leaf->not_after, kStart + hours(24 * 7));
  EXPECT_EQ(leaf->dns_names, options().dns_names);
  EXPECT_TRUE(signed_by(stored.leaf.certificate, stored.ca.certificate));
  EXPECT_FALSE(signed_by(stored.leaf.certificate, fresh(kStart).ca.certificate));
}

TEST(KeyPair, HalfWrittenOrMixedPairsAreRefused) {
  const Stored one = fresh(kStart);
  const Stored two = fresh(kStart);
  EXPECT_EQ(check_pair({one.leaf.certificate, two.leaf.private_key}).error(),
            "the private key is not the certificate's");
  const std::string half = one.leaf.certificate.substr(0, one.leaf.certificate.size() / 2);
  EXPECT_EQ(check_pair({half, one.leaf.private_key}).error(), "no certificate in PEM form");
  EXPECT_EQ(check_pair({one.leaf.certificate, ""}).error(),
            "no unencrypted private key in PEM form");
}

TEST(KeyPair, LeafDoesNotOutliveItsCa) {
  RotationOptions short_ca = options();
  short_ca.ca_lifetime = hours(5);
  const Stored stored = *advance(Step::CreateAll, std::nullopt, kStart, short_ca);
  EXPECT_EQ(check_pair(stored.leaf)->not_after, kStart + hours(5));
}

TEST(Secret, RoundTripsAndIgnoresWhatItDoesNotKnow) {
  Stored stored = fresh(kStart);
  stored.next_ca = fresh(kStart).ca;
  stored.previous_ca = fresh(kStart).ca.certificate;
  auto data = encode(stored);
  EXPECT_EQ(data.size(), 7U);
  data["extra"] = "x";
  EXPECT_EQ(decode(data), stored);
  EXPECT_EQ(decode({}), Stored{});
}

struct Case {
  const char* name;
  Observed observed;
  Step step;
};

TEST(Decide, Table) {
  const Stored good = fresh(kStart);
  Stored staged = *advance(Step::StageCa, good, kStart, options());
  const Stored switched = *advance(Step::SwitchCa, staged, kStart, options());
  Stored foreign_leaf = good;
  foreign_leaf.leaf = fresh(kStart).leaf;
  Stored bad_ca = good;
  bad_ca.ca.private_key = "x";
  Stored bad_next = good;
  bad_next.next_ca = {"garbage", "garbage"};
  Stored bad_previous = good;
  bad_previous.previous_ca = "garbage";
  RotationOptions other = options();
  other.dns_names = {"elsewhere.svc"};
  const Stored renamed = *advance(Step::CreateAll, std::nullopt, kStart, other);
  const TimePoint later = kStart + hours(1);
  const Case cases[] = {
      {"nothing stored", {later, std::nullopt, {}, {}}, Step::CreateAll},
      {"CA without its key", seen(bad_ca, later), Step::CreateAll},
      {"CA expired", seen(good, kStart + hours(24 * 366)), Step::CreateAll},
      {"all well", seen(good, later), Step::None},
      {"not published", {later, good, {""}, kStart}, Step::Publish},
      {"one of two published", {later, good, {bundle(good), "junk"}, kStart}, Step::Publish},
      {"no webhook configuration yet", {later, good, {}, kStart}, Step::None},
      {"leaf of another CA", seen(foreign_leaf, later), Step::RenewLeaf},
      {"leaf two thirds over", seen(good, kStart + hours(24 * 5)), Step::RenewLeaf},
      {"leaf of another Service", seen(renamed, later), Step::RenewLeaf},
      {"CA two thirds over",
       seen(*advance(Step::RenewLeaf, good, kStart + hours(24 * 250), options()),
            kStart + hours(24 * 250)),
       Step::StageCa},
      {"staged, settled", seen(staged, later), Step::SwitchCa},
      {"staged, just published", {later, staged, {bundle(staged)}, later}, Step::None},
      {"staged, unknown since when", {later, staged, {bundle(staged)}, {}}, Step::None},
      {"staged, old bundle published", {later, staged, {bundle(good)}, kStart}, Step::Publish},
      {"next CA unreadable", seen(bad_next, later), Step::StageCa},
      {"switched, settled", seen(switched, later), Step::DropOldCa},
      {"switched just now", seen(switched, kStart + seconds(1)), Step::None},
      {"previous CA unreadable", seen(bad_previous, later), Step::DropOldCa},
  };
  for (const Case& c : cases) {
    const Decision decision = decide(c.observed, options());
    EXPECT_EQ(decision.step, c.step)
        << c.name << ": " << to_string(decision.step) << ", " << decision.reason;
    if (decision.step == Step::None) {
      EXPECT_GT(decision.recheck, c.observed.now) << c.name;
    }
  }
}

TEST(Advance, RefusesStepsThatWriteNothing) {
  EXPECT_FALSE(advance(Step::None, fresh(kStart), kStart, options()));
  EXPECT_FALSE(advance(Step::Publish, fresh(kStart), kStart, options()));
}

/// Fourteen months in which replicas and API servers see everything up to `settle` late: whatever
/// leaf a replica may still serve is trusted by whatever bundle an API server may still use.
TEST(Rotation, NoLeafIsEverServedToAnApiServerThatDoesNotTrustIt) {
  RotationOptions opts = options();
  opts.settle = minutes(10);
  std::optional<Stored> stored;
  std::string published;
  TimePoint published_since = kStart;
  std::deque<std::pair<TimePoint, std::string>> leaves;   // served from …
  std::deque<std::pair<TimePoint, std::string>> bundles;  // in use from …
  int switches = 0;
  int steps = 0;
  for (TimePoint now = kStart; now < kStart + hours(24 * 425);) {
    const Decision decision = decide({now, stored, {published}, published_since}, opts);
    if (decision.step == Step::Publish) {
      published = decision.bundle;
      published_since = now;
      bundles.emplace_back(now, published);
    } else if (decision.step != Step::None) {
      stored = *advance(decision.step, stored, now, opts);
      if (leaves.empty() || leaves.back().second != stored->leaf.certificate) {
        leaves.emplace_back(now, stored->leaf.certificate);
      }
      switches += decision.step == Step::SwitchCa ? 1 : 0;
    }
    ASSERT_LT(++steps, 250) << "does not come to rest: " << to_string(decision.step);
    // What lagging parties may hold: everything superseded less than `settle` ago.
    const auto forget = [&](auto& history) {
      while (history.size() > 1 && history[1].first + opts.settle <= now) history.pop_front();
    };
    forget(leaves);
    forget(bundles);
    if (bundles.size() + leaves.size() > 0 && now > kStart + opts.settle) {
      for (const auto& [since, leaf] : leaves) {
        EXPECT_GT(inspect(leaf)->not_after, now);
        for (const auto& [from, pem] : bundles) {
          bool trusted = false;
          std::size_t at = 0;
          while (!trusted && at < pem.size()) {
            const std::size_t end = pem.find("-----END CERTIFICATE-----", at) + 26;
            trusted = signed_by(leaf, pem.substr(at, end - at));
            at = end;
          }
          EXPECT_TRUE(trusted) << "at " << std::chrono::duration_cast<hours>(now - kStart).count();
        }
      }
    }
    now = decision.step == Step::None ? std::max(decision.recheck, now + seconds(1))
                                      : now + seconds(5);
  }
  EXPECT_EQ(switches, 1);
}

}  // namespace
}  // namespace gobuildenv::webhooks::certificates
