#include "agent/collector/policy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <set>

namespace gobuildenv::agent::collector {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr std::uint64_t kMiB = 1U << 20U;

Unit unit(UnitKind kind, std::string path, seconds idle, std::uint64_t mib = 10,
          std::string environment = "") {
  Unit out;
  out.kind = kind;
  out.path = std::move(path);
  out.environment = std::move(environment);
  out.idle = idle;
  out.size = {mib * kMiB, 100};
  return out;
}

Inventory inventory(std::vector<Unit> units) {
  Inventory out;
  for (const Unit& u : units) {
    if (!u.environment.empty()) out.environments[u.environment] += u.size;
  }
  out.units = std::move(units);
  return out;
}

/// 100 GiB with `used` percent taken, more inodes than anybody needs.
Disk disk(unsigned used = 10) {
  Disk out;
  out.bytes = std::uint64_t{100} << 30U;
  out.bytes_free = out.bytes / 100 * (100 - used);
  out.inodes = 1'000'000;
  out.inodes_free = 900'000;
  return out;
}

std::vector<std::string> collected(const Plan& plan, const Inventory& in) {
  std::vector<std::string> out;
  for (const Decision& step : plan.steps) {
    out.push_back((step.action == Action::DropZip ? "zip " : "") + in.units[step.unit].id());
  }
  return out;
}

Reason reason_of(const Plan& plan, std::size_t unit) {
  for (const auto* list : {&plan.steps, &plan.stays}) {
    for (const Decision& d : *list) {
      if (d.unit == unit) return d.reason;
    }
  }
  ADD_FAILURE() << "no decision on unit " << unit;
  return Reason::WithinLimits;
}

using Names = std::vector<std::string>;

TEST(Policy, OldUnitsGoYoungOnesStay) {
  const Inventory in = inventory({
      unit(UnitKind::Toolchain, "toolchains/a/1", hours(168)),
      unit(UnitKind::Toolchain, "toolchains/b/1", hours(167)),
      unit(UnitKind::Toolchain, "toolchains/c/1", hours(500)),
  });
  const Plan out = plan(in, {}, {}, disk());
  EXPECT_EQ(collected(out, in), (Names{"toolchains/c/1", "toolchains/a/1"}));
  EXPECT_EQ(reason_of(out, 0), Reason::Unused);
  EXPECT_EQ(reason_of(out, 1), Reason::WithinLimits);
  EXPECT_EQ(out.planned, (Totals{20 * kMiB, 200}));
}

TEST(Policy, RootsProtect) {
  struct Case {
    const char* root;
    bool kept;
  };
  const Case cases[] = {
      {"toolchains/go1.22.3.linux-amd64/h1-x", true},
      {"toolchains/go1.22.3.linux-amd64/h1-x/goroot", true},  // what is mounted lies in the unit
      {"toolchains/go1.22.3.linux-amd64", true},  // a revision wants any of this version
      {"", true},                                 // a record that cannot be read
      {"toolchains/go1.22.3.linux-amd64/h1", false},
      {"toolchains/go1.22", false},
      {"toolchains/go1.21.6.linux-amd64", false},
  };
  const Inventory in =
      inventory({unit(UnitKind::Toolchain, "toolchains/go1.22.3.linux-amd64/h1-x", hours(900))});
  for (const Case& c : cases) {
    const Plan out = plan(in, {{c.root, "volume v1"}}, {}, disk(99));
    EXPECT_EQ(out.steps.empty(), c.kept) << c.root;
    if (c.kept) {
      EXPECT_EQ(reason_of(out, 0), Reason::Rooted) << c.root;
    }
  }
}

TEST(Policy, APublishedCacheProtectsEverythingInIt) {
  const std::string cache = "caches/ns/env/mod/lower/3";
  const Inventory in = inventory({
      unit(UnitKind::Module, cache + "/example.com/m@v1.0.0", hours(900), 10, "ns/env"),
      unit(UnitKind::Module, "caches/ns/other/mod/lower/3/example.com/m@v1.0.0", hours(900), 10,
           "ns/other"),
  });
  const Plan out = plan(in, {{"caches/ns/env", "volume v1"}}, {}, disk());
  EXPECT_EQ(reason_of(out, 0), Reason::Rooted);
  EXPECT_EQ(reason_of(out, 1), Reason::Unused);
}

TEST(Policy, RetentionIsTheEnvironments) {
  Limits limits;
  limits.environments["ns/short"] = {.unused_for = hours(1)};
  const Inventory in = inventory({
      unit(UnitKind::Module, "caches/ns/short/mod/lower/1/m@v1", hours(2), 1, "ns/short"),
      unit(UnitKind::Module, "caches/ns/long/mod/lower/1/m@v1", hours(2), 1, "ns/long"),
  });
  EXPECT_EQ(collected(plan(in, {}, limits, disk()), in),
            (Names{"caches/ns/short/mod/lower/1/m@v1"}));
}

TEST(Policy, BuildEntriesStayAnHourAndTheLongestBuild) {
  struct Case {
    seconds idle;
    seconds longest_build;
    bool goes;
  };
  const Case cases[] = {{minutes(59), seconds(0), false},
                        {minutes(60), seconds(0), true},
                        {minutes(89), minutes(30), false},
                        {minutes(90), minutes(30), true}};
  for (const Case& c : cases) {
    Limits limits;
    limits.node.unused_for = seconds(0);
    limits.longest_build = c.longest_build;
    const Inventory in =
        inventory({unit(UnitKind::Builds, "caches/ns/e/build/lower/1", c.idle, 10, "ns/e")});
    EXPECT_EQ(!plan(in, {}, limits, disk(99)).steps.empty(), c.goes) << c.idle.count();
  }
}

TEST(Policy, MinIdleHoldsUnderAnyPressure) {
  const Inventory in = inventory({unit(UnitKind::Toolchain, "toolchains/a/1", seconds(119))});
  const Plan out = plan(in, {}, {}, disk(99));
  EXPECT_TRUE(out.steps.empty());
  EXPECT_TRUE(out.short_of_space);
  EXPECT_EQ(reason_of(out, 0), Reason::RecentlyUsed);
}

TEST(Policy, ZipsGoFirst) {
  Limits limits;
  limits.environments["ns/e"] = {.max_bytes = 25 * kMiB};
  std::vector<Unit> units{
      unit(UnitKind::Module, "caches/ns/e/mod/lower/1/a@v1", hours(3), 10, "ns/e"),
      unit(UnitKind::Module, "caches/ns/e/mod/lower/1/b@v1", hours(2), 10, "ns/e"),
      unit(UnitKind::Module, "caches/ns/e/mod/lower/1/c@v1", hours(1), 10, "ns/e")};
  for (Unit& u : units) u.zip_bytes = 2 * kMiB;
  const Inventory in = inventory(units);
  const Plan out = plan(in, {}, limits, disk());
  EXPECT_EQ(collected(out, in),
            (Names{"zip caches/ns/e/mod/lower/1/a@v1", "zip caches/ns/e/mod/lower/1/b@v1",
                   "zip caches/ns/e/mod/lower/1/c@v1"}));
  EXPECT_EQ(out.planned.bytes, 6 * kMiB);
}

TEST(Policy, AUnitWhoseZipWasToGoIsOneStep) {
  Limits limits;
  limits.environments["ns/e"] = {.max_bytes = 13 * kMiB};
  std::vector<Unit> units{
      unit(UnitKind::Module, "caches/ns/e/mod/lower/1/a@v1", hours(3), 10, "ns/e"),
      unit(UnitKind::Module, "caches/ns/e/mod/lower/1/b@v1", hours(2), 10, "ns/e")};
  for (Unit& u : units) u.zip_bytes = 2 * kMiB;
  const Inventory in = inventory(units);
  const Plan out = plan(in, {}, limits, disk());
  EXPECT_EQ(collected(out, in),
            (Names{"zip caches/ns/e/mod/lower/1/b@v1", "caches/ns/e/mod/lower/1/a@v1"}));
  EXPECT_EQ(out.planned.bytes, 12 * kMiB);
}

TEST(Policy, MaxSizeIsPerEnvironment) {
  Limits limits;
  limits.environments["ns/big"] = {.max_bytes = 15 * kMiB};
  const Inventory in = inventory({
      unit(UnitKind::Module, "caches/ns/big/mod/lower/1/a@v1", hours(1), 10, "ns/big"),
      unit(UnitKind::Module, "caches/ns/big/mod/lower/1/b@v1", hours(2), 10, "ns/big"),
      unit(UnitKind::Module, "caches/ns/small/mod/lower/1/c@v1", hours(9), 10, "ns/small"),
  });
  const Plan out = plan(in, {}, limits, disk());
  EXPECT_EQ(collected(out, in), (Names{"caches/ns/big/mod/lower/1/b@v1"}));
  EXPECT_EQ(reason_of(out, 1), Reason::EnvironmentSize);
  EXPECT_EQ(reason_of(out, 0), Reason::LimitReached);
  EXPECT_EQ(reason_of(out, 2), Reason::WithinLimits);
}

TEST(Policy, WatermarksFromHighToLow) {
  std::vector<Unit> units;
  for (int i = 0; i < 20; ++i) {
    units.push_back(unit(UnitKind::Toolchain, "toolchains/v/" + std::to_string(i), hours(20 - i),
                         1024));  // 1 GiB each, of 100
  }
  const Inventory in = inventory(units);
  EXPECT_TRUE(plan(in, {}, {}, disk(75)).steps.empty());
  const Plan out = plan(in, {}, {}, disk(76));
  EXPECT_EQ(out.steps.size(), 6U);
  EXPECT_EQ(reason_of(out, 0), Reason::DiskBytes);
  EXPECT_EQ(reason_of(out, 6), Reason::LimitReached);
  EXPECT_FALSE(out.short_of_space);
}

TEST(Policy, WhatIsInTheTrashIsNotAskedForAgain) {
  Inventory in = inventory({unit(UnitKind::Toolchain, "toolchains/v/1", hours(20), 1024)});
  in.trash = {std::uint64_t{10} << 30U, 0};
  EXPECT_TRUE(plan(in, {}, {}, disk(76)).steps.empty());
}

TEST(Policy, InodesCount) {
  Disk few = disk();
  few.inodes_free = few.inodes / 100 * 24;
  std::vector<Unit> units;
  for (int i = 0; i < 20; ++i) {
    units.push_back(unit(UnitKind::Toolchain, "toolchains/v/" + std::to_string(i), hours(20 - i)));
    units.back().size.inodes = 10'000;  // 1 %
  }
  const Inventory in = inventory(units);
  const Plan out = plan(in, {}, {}, few);
  EXPECT_EQ(out.steps.size(), 6U);
  EXPECT_EQ(reason_of(out, 0), Reason::DiskInodes);
  few.inodes = 0;  // the file system makes them as needed
  EXPECT_TRUE(plan(in, {}, {}, few).steps.empty());
}

TEST(Policy, ReplacedAndAbandonedGoWhenTheyMay) {
  const Inventory in = inventory({
      unit(UnitKind::Generation, "caches/ns/e/mod/lower/1", minutes(3), 10, "ns/e"),
      unit(UnitKind::Private, "pods/csi-1", minutes(3)),
      unit(UnitKind::Private, "pods/csi-2", minutes(3)),
      unit(UnitKind::Private, "pods/csi-3", minutes(1)),
  });
  const Plan out = plan(in, {{"pods/csi-2/upper", "volume csi-2"}}, {}, disk());
  EXPECT_EQ(reason_of(out, 0), Reason::Replaced);
  EXPECT_EQ(reason_of(out, 1), Reason::Abandoned);
  EXPECT_EQ(reason_of(out, 2), Reason::Rooted);
  EXPECT_EQ(reason_of(out, 3), Reason::RecentlyUsed);
}

TEST(Policy, OrdersDiffer) {
  std::vector<Unit> units{unit(UnitKind::Toolchain, "toolchains/v/old-and-dear", hours(9), 6144),
                          unit(UnitKind::Toolchain, "toolchains/v/new-and-cheap", hours(3), 6144)};
  units[0].credit = 9;
  units[1].credit = 1;
  const Inventory in = inventory(units);
  Limits limits;
  limits.order = Order::LeastRecentlyUsed;
  EXPECT_EQ(collected(plan(in, {}, limits, disk(76)), in), Names{"toolchains/v/old-and-dear"});
  limits.order = Order::GreedyDualSizeFrequency;
  const Plan out = plan(in, {}, limits, disk(76));
  EXPECT_EQ(collected(out, in), Names{"toolchains/v/new-and-cheap"});
  EXPECT_EQ(out.inflation, 1.0);
}

TEST(Policy, LimitsThatCannotBe) {
  Limits limits;
  EXPECT_FALSE(limits.error().has_value());
  limits.low_percent = 80;
  EXPECT_EQ(
      limits.error(),
      "watermarks: high is 75 %, low is 80 %; low must not be above high, nor high above 100");
  limits = {};
  limits.min_idle = seconds(-1);
  EXPECT_TRUE(limits.error().has_value());
}

TEST(Policy, ExplanationsCarryTheNumbers) {
  Limits limits;
  limits.longest_build = minutes(10);
  std::vector<Unit> units{
      unit(UnitKind::Toolchain, "toolchains/v/1", hours(200)),
      unit(UnitKind::Toolchain, "toolchains/v/2", hours(900)),
      unit(UnitKind::Builds, "caches/ns/e/build/lower/1", minutes(30), 10, "ns/e"),
      unit(UnitKind::Toolchain, "toolchains/v/3", hours(3)),
  };
  const Inventory in = inventory(units);
  const Plan out =
      plan(in, {{"toolchains/v/2", "volume csi-1 of pod ci/\x1b[31mred"}}, limits, disk(20));
  const auto text = [&](std::size_t i) {
    for (const auto* list : {&out.steps, &out.stays}) {
      for (const Decision& d : *list) {
        if (d.unit == i) return explain(d, in, limits, disk(20));
      }
    }
    return std::string();
  };
  EXPECT_EQ(text(0), "unused for 8d8h, kept for 7d");
  EXPECT_EQ(text(1), "in use: volume csi-1 of pod ci/\\x1b[31mred");
  EXPECT_EQ(text(2), "used 30m ago; build entries stay for an hour and the longest build (10m)");
  EXPECT_EQ(text(3), "used 3h ago, kept for 7d; no limit asks for it");
}

rc::Gen<Unit> any_unit() {
  return rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(0, 6), rc::gen::inRange(0, 40), rc::gen::inRange(0, 300),
                     rc::gen::inRange(0, 4000), rc::gen::inRange(0, 3), rc::gen::inRange(0, 50)),
      [](const std::tuple<int, int, int, int, int, int>& in) {
        const auto& [kind, name, idle, mib, environment, credit] = in;
        Unit out = unit(static_cast<UnitKind>(kind), "u/" + std::to_string(name), hours(idle),
                        static_cast<std::uint64_t>(mib),
                        environment == 0 ? "" : "ns/" + std::to_string(environment));
        if (out.kind == UnitKind::Module) out.zip_bytes = out.size.bytes / 5;
        if (credit % 5 == 0) out.shared_bytes = 2 * out.size.bytes;
        out.credit = credit;
        return out;
      });
}

TEST(PolicyProperty, Invariants) {
  ASSERT_TRUE(rc::check("every plan", [] {
    Inventory in = inventory(*rc::gen::container<std::vector<Unit>>(any_unit()));
    std::vector<Root> roots;
    for (const int name : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 40))) {
      roots.push_back({"u/" + std::to_string(name), "volume"});
    }
    Limits limits;
    limits.order = *rc::gen::element(Order::LeastRecentlyUsed, Order::GreedyDualSizeFrequency);
    limits.environments["ns/1"] = {
        .unused_for = hours(*rc::gen::inRange(0, 300)),
        .max_bytes = static_cast<std::uint64_t>(*rc::gen::inRange(0, 9000)) * kMiB};
    const Disk d = disk(static_cast<unsigned>(*rc::gen::inRange(0, 100)));
    const Plan out = plan(in, roots, limits, d);

    // One decision on every unit, and a sentence for it.
    std::multiset<std::size_t> decided;
    for (const auto* list : {&out.steps, &out.stays}) {
      for (const Decision& decision : *list) {
        decided.insert(decision.unit);
        RC_ASSERT(!explain(decision, in, limits, d).empty());
      }
    }
    for (std::size_t i = 0; i < in.units.size(); ++i) RC_ASSERT(decided.count(i) == 1U);

    Totals sum;
    for (const Decision& step : out.steps) {
      const Unit& u = in.units[step.unit];
      const bool rooted = root_of(u, roots) != nullptr;
      RC_ASSERT(!rooted);
      RC_ASSERT(u.idle >= limits.min_idle);
      if (u.kind == UnitKind::Builds) {
        RC_ASSERT(u.idle >= hours(1));
      }
      // For room only what gives room.
      const bool shared = u.shared_bytes > u.size.bytes;
      RC_ASSERT(!shared || step.reason == Reason::Unused || step.reason == Reason::Replaced ||
                step.reason == Reason::Abandoned);
      sum += step.action == Action::DropZip ? Totals{u.zip_bytes, 1} : u.size;
    }
    RC_ASSERT(sum == out.planned);

    // It stops at the mark: without its last step for the disk there would be too little.
    const auto used_after = [&](std::uint64_t freed) {
      const std::uint64_t used = d.bytes - d.bytes_free;
      return used - std::min(used, freed);
    };
    const std::uint64_t low = d.bytes / 100 * limits.low_percent;
    if (!out.steps.empty() && out.steps.back().reason == Reason::DiskBytes) {
      const Decision& last = out.steps.back();
      const Unit& u = in.units[last.unit];
      const std::uint64_t gives = last.action == Action::DropZip ? u.zip_bytes : u.size.bytes;
      // A zip of the unit may have been counted in an earlier step.
      RC_ASSERT(used_after(out.planned.bytes - gives) > low - std::min(low, u.zip_bytes));
    }

    // The order does not depend on the order of the inventory.
    std::set<std::string> paths;
    for (const Unit& u : in.units) paths.insert(u.path);
    if (paths.size() == in.units.size()) {
      Inventory turned = in;
      std::reverse(turned.units.begin(), turned.units.end());
      RC_ASSERT(collected(plan(turned, roots, limits, d), turned) == collected(out, in));
    }
  }));
}

}  // namespace
}  // namespace gobuildenv::agent::collector
