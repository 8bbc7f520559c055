#include "agent/toolchains/fetch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill() is POSIX
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "agent/toolchains/proxies.hpp"
#include "tests/agent/temp_folder.hpp"
#include "tests/agent/toolchains/module_proxy.hpp"

namespace gobuildenv::agent {
namespace {

using goenv::Proxy;
using goenv::ProxyFallback;
using kube::testing::Reply;
using ::testing::HasSubstr;
using testing::ModuleProxy;
using testing::toolchain;

const std::string kOther = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

class FetchTest : public ::testing::Test {
 protected:
  FetchTest() : store(*ToolchainStore::open(folder.path("root"))) {
    options.proxies = {{proxy.url(), ProxyFallback::NotFound}};
    options.database = sumdb::Database{proxy.database.key(), ""};
    auto opened = open_head_store(store.root(), proxy.database.key());
    if (!opened) throw std::runtime_error(opened.error().message);
    heads = *std::move(opened);
  }

  tl::expected<StoredToolchain, Failure> fetch(const ToolchainWant& want) {
    return fetch_toolchain(
        want, store, heads.get(), options, stop,
        [this](std::uint64_t bytes, std::uint64_t total) { progress.emplace_back(bytes, total); },
        1'700'000'000);
  }
  [[nodiscard]] bool clean() const {
    return std::filesystem::is_empty(folder.path("root/incoming"));
  }
  std::string zip_target(const ToolchainId& id) {
    return "/golang.org/toolchain/@v/" + id.module_version() + ".zip";
  }

  testing::TempFolder folder;
  ModuleProxy proxy;
  ToolchainStore store;
  FetchOptions options;
  FetchStop stop;
  std::unique_ptr<sumdb::HeadStore> heads;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> progress;
};

TEST_F(FetchTest, DownloadsVerifiesAndPublishes) {
  const auto id = toolchain(22, 3);
  const std::string h1 = proxy.add(id);
  const auto stored = fetch({id, {}});
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_EQ(stored->record.h1, h1);
  EXPECT_EQ(stored->record.source, proxy.url());
  EXPECT_EQ(stored->record.fetched_at, 1'700'000'000);
  EXPECT_EQ(testing::read_file(stored->goroot() + "/VERSION"), "go1.22.3\n");
  EXPECT_EQ(store.find({id, {}})->folder, stored->folder);
  ASSERT_FALSE(progress.empty());
  const auto size = proxy.zips.begin()->second.size();
  EXPECT_EQ(progress.back(), std::make_pair(size, size));
  EXPECT_TRUE(clean());
  EXPECT_EQ(proxy.asked("/supported"), 1U);
  EXPECT_EQ(proxy.asked("/lookup/"), 1U);
}

TEST_F(FetchTest, AWrongSumIsNeverPublished) {
  const auto id = toolchain(22, 3);
  proxy.add(id);
  proxy.zips[zip_target(id)] =
      testing::make_zip(testing::small_toolchain("1.22.3", {{"bin/backdoor", "evil"}}));
  const auto failed = fetch({id, {}});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason, "SumMismatch");
  EXPECT_THAT(failed.error().message, HasSubstr(proxy.url()));
  EXPECT_FALSE(failed.error().may_pass);
  EXPECT_TRUE(store.list().empty());
  EXPECT_TRUE(clean());
}

TEST_F(FetchTest, APinnedSumNeedsNoDatabaseAndStaysInItsNamespace) {
  const auto id = toolchain(21, 6);
  const std::string h1 = proxy.add(id);
  proxy.supports_database = false;
  options.database.reset();
  heads.reset();
  const Failure unverifiable = fetch({id, {}}).error();
  EXPECT_EQ(unverifiable.reason, "SumdbUnreachable") << "nothing to verify with";
  EXPECT_THAT(unverifiable.message, HasSubstr("set --sum-db,")) << "the agent's flag";
  const auto stored = fetch({id, PinnedSum{h1, "uid-a"}});
  ASSERT_TRUE(stored) << stored.error().message;
  EXPECT_FALSE(store.find({id, {}}));
  EXPECT_FALSE(store.find({id, PinnedSum{h1, "uid-b"}}));
  EXPECT_EQ(fetch({id, PinnedSum{kOther, "uid-a"}}).error().reason, "SumMismatch");
  EXPECT_THAT(fetch({id, PinnedSum{"h1:x", "uid-a"}}).error().message,
              HasSubstr("spec.toolchain.sums"));
}

TEST_F(FetchTest, ForgeriesOfTheDatabaseAreToldApartFromOutages) {
  const auto id = toolchain(22, 3);
  proxy.add(id);
  const std::string lookup =
      "/sumdb/sum.example/lookup/golang.org/toolchain@" + id.module_version();
  const std::string honest = *proxy.database.read(lookup.substr(18));
  const sumdb::testing::TestDatabase impostor("sum.example", 77);
  const struct {
    std::string_view what;
    Reply reply;
    std::string_view reason;
  } kCases[] = {
      {"another key",
       Reply::json(200, honest.substr(0, honest.find("\n\n") + 2) +
                            impostor.sign("go.sum database tree\n1\n" + kOther.substr(3) + "\n")),
       "SumdbForged"},
      {"changed record", Reply::json(200, "1" + honest), "SumdbForged"},
      {"no such record", Reply::json(404, ""), "NotFound"},
      {"gone", Reply::json(410, ""), "NotFound"},
      {"outage", Reply::json(500, ""), "SumdbUnreachable"},
      {"hang up", Reply::hang_up(), "SumdbUnreachable"},
      {"nonsense", Reply::json(200, "<html>"), "SumdbUnreachable"},
  };
  for (const auto& [what, reply, reason] : kCases) {
    {
      const std::lock_guard lock(proxy.mutex);
      proxy.instead.insert_or_assign(lookup, reply);
    }
    const auto failed = fetch({id, {}});
    ASSERT_FALSE(failed) << what;
    EXPECT_EQ(failed.error().reason, reason) << what << ": " << failed.error().message;
  }
  EXPECT_EQ(proxy.asked(".zip"), 0U) << "nothing is downloaded that could not be verified";
}

TEST_F(FetchTest, ADatabaseThatForksIsFoundOutOverRestarts) {
  const auto first = toolchain(22, 3);
  const auto second = toolchain(22, 4);
  proxy.add(first);
  ASSERT_TRUE(fetch({first, {}}));
  ModuleProxy fork;  // the same key, another history
  fork.database.grow(100);
  fork.add(second);
  options.proxies = {{fork.url(), ProxyFallback::NotFound}};
  heads = *open_head_store(store.root(), proxy.database.key());
  const auto failed = fetch({second, {}});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason, "SumdbForged");
  EXPECT_THAT(failed.error().message, HasSubstr("contradict"));
}

TEST_F(FetchTest, TheDatabaseIsReadWhereTheSettingSays) {
  const auto id = toolchain(22, 3);
  proxy.add(id);
  ModuleProxy mirror;
  mirror.add(id);
  options.database->url = mirror.url() + "/sumdb/sum.example/";
  ASSERT_TRUE(fetch({id, {}}));
  EXPECT_EQ(proxy.asked("/sumdb/"), 0U);
  EXPECT_EQ(mirror.asked("/lookup/"), 1U);
  EXPECT_EQ(mirror.asked("/supported"), 0U);
}

TEST_F(FetchTest, ProxiesAreTriedByGosRules) {
  const auto id = toolchain(22, 3);
  ModuleProxy without;  // supports the database, has no toolchain
  proxy.add(id);
  without.supports_database = false;
  options.proxies = {{without.url(), ProxyFallback::NotFound},
                     {proxy.url(), ProxyFallback::NotFound}};
  EXPECT_TRUE(fetch({id, {}})) << "behind a comma after a 404";

  const auto next = toolchain(22, 4);
  proxy.add(next);
  without.status = 500;
  const auto failed = fetch({next, {}});
  ASSERT_FALSE(failed) << "behind a comma after a 500";
  EXPECT_THAT(failed.error().message, HasSubstr("HTTP 500"));
  EXPECT_THAT(failed.error().message, HasSubstr(without.url()));
  EXPECT_TRUE(failed.error().may_pass);
  options.proxies[0].fallback = ProxyFallback::AnyError;
  EXPECT_TRUE(fetch({next, {}})) << "behind a bar after a 500";
}

TEST_F(FetchTest, TornAndLyingDownloadsLeaveNothing) {
  const auto id = toolchain(22, 3);
  proxy.add(id);
  const std::string zip = proxy.zips[zip_target(id)];
  options.web.idle = std::chrono::seconds(1);
  options.max_download = 1'000'000;
  const struct {
    std::string_view what;
    Reply reply;
    std::string_view reason;
  } kCases[] = {
      {"torn", Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + zip).close(),
       "ProxyUnreachable"},
      {"torn chunks", Reply::stream().chunk(zip).truncate(), "ProxyUnreachable"},
      {"silent", Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\nPK").hold(),
       "ProxyUnreachable"},
      {"half", Reply::json(200, zip.substr(0, zip.size() / 2)), "BadArchive"},
      {"empty", Reply::json(200, ""), "BadArchive"},
      {"page", Reply::json(200, "<html>please log in</html>"), "BadArchive"},
      {"too large by its length",
       Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 90000000000\r\n\r\n").hold(),
       "ProxyUnreachable"},
      {"too large without one", Reply::stream().chunk(std::string(1'100'000, 'x')).hold(),
       "ProxyUnreachable"},
      {"forbidden", Reply::json(403, ""), "ProxyUnreachable"},
      {"absent", Reply::json(404, ""), "NotFound"},
  };
  for (const auto& [what, reply, reason] : kCases) {
    {
      const std::lock_guard lock(proxy.mutex);
      proxy.instead.insert_or_assign(zip_target(id), reply);
    }
    const auto failed = fetch({id, {}});
    ASSERT_FALSE(failed) << what;
    EXPECT_EQ(failed.error().reason, reason) << what << ": " << failed.error().message;
    EXPECT_TRUE(clean()) << what;
  }
  EXPECT_TRUE(store.list().empty());
}

TEST_F(FetchTest, DisksThatRefuseAreReported) {
  const auto id = toolchain(22, 3);
  proxy.add(id);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto old = ::signal(SIGXFSZ, SIG_IGN);
  ASSERT_TRUE(fetch({id, {}})) << "so that the head is stored";
  const auto next = toolchain(22, 4);
  proxy.add(next, {{"large", std::string(50'000, 'x'), false}});
  const rlimit small{20'000, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto failed = fetch({next, {}});
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, old);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason, "DiskError");
  EXPECT_THAT(failed.error().message, HasSubstr("toolchain.zip"));
  EXPECT_TRUE(clean());
}

TEST_F(FetchTest, StopsInTheMiddleOfADownload) {
  const auto id = toolchain(22, 3);
  proxy.add(id);
  proxy.instead.insert_or_assign(
      zip_target(id), Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\nPK").hold());
  std::jthread stopper([this, &id] {
    while (proxy.asked(zip_target(id)) == 0) std::this_thread::yield();
    stop.stop();
  });
  const auto failed = fetch({id, {}});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().reason, "Stopped");
  EXPECT_TRUE(clean());
  EXPECT_EQ(fetch({id, {}}).error().reason, "Stopped") << "and stays stopped";
}

TEST_F(FetchTest, AnEndAtEveryStepLeavesAllOrNothing) {
  const auto id = toolchain(22, 3);
  const std::string h1 = proxy.add(id);
  for (const std::string_view at :
       {"sum", "downloaded", "extracted", "record", "sync", "rename", "folder-sync"}) {
    SCOPED_TRACE(at);
    const testing::TempFolder own;
    const pid_t child = ::fork();
    if (child == 0) {
      const auto kill = [at](std::string_view step) {
        if (step == at) ::kill(::getpid(), SIGKILL);
      };
      options.hook = kill;
      options.extract.threads = 1;
      auto doomed = ToolchainStore::open(own.path("root"), kill);
      const auto memory = open_head_store(own.path("root"), proxy.database.key());
      [[maybe_unused]] const auto done = fetch_toolchain(
          {id, {}}, *doomed, memory->get(), options, stop, [](std::uint64_t, std::uint64_t) {}, 1);
      ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the step was not reached";
    const auto again = ToolchainStore::open(own.path("root"));
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_TRUE(std::filesystem::is_empty(own.path("root/incoming")));
    const auto found = again->find({id, {}});
    EXPECT_EQ(found.has_value(), at == "rename" || at == "folder-sync");
    if (found) {
      EXPECT_EQ(testing::read_file(found->goroot() + "/VERSION"), "go1.22.3\n");
      EXPECT_EQ(found->record.h1, h1);
    }
    const auto memory = open_head_store(own.path("root"), proxy.database.key());
    ASSERT_TRUE(memory) << memory.error().message;
    EXPECT_NE((*memory)->current(), nullptr);
  }
}

TEST(TryProxies, FollowsTheList) {
  using Kind = ProxyOutcome::Kind;
  const auto failure = [](const std::string& url) { return Failure{"R", url, true}; };
  const struct {
    std::string_view what;
    std::vector<Proxy> proxies;
    std::map<std::string, Kind> answers;
    std::vector<std::string> asked;
    std::string result;  ///< "" for done
  } kCases[] = {
      {"first has it", {{"a"}, {"b"}}, {{"a", Kind::Done}}, {"a"}, ""},
      {"comma after absence",
       {{"a"}, {"b"}},
       {{"a", Kind::NotHere}, {"b", Kind::Done}},
       {"a", "b"},
       ""},
      {"comma after failure", {{"a"}, {"b"}}, {{"a", Kind::Failed}}, {"a"}, "a"},
      {"bar after failure",
       {{"a", ProxyFallback::AnyError}, {"b"}},
       {{"a", Kind::Failed}, {"b", Kind::Done}},
       {"a", "b"},
       ""},
      {"the failure says more than the absence",
       {{"a", ProxyFallback::AnyError}, {"b"}},
       {{"a", Kind::Failed}, {"b", Kind::NotHere}},
       {"a", "b"},
       "a"},
      {"all absent", {{"a"}, {"b"}}, {{"a", Kind::NotHere}, {"b", Kind::NotHere}}, {"a", "b"}, "a"},
      {"stop", {{"a", ProxyFallback::AnyError}, {"b"}}, {{"a", Kind::Stop}}, {"a"}, "a"},
      {"direct is passed over", {{"direct"}, {"b"}}, {{"b", Kind::Done}}, {"b"}, ""},
      {"off ends", {{"off"}, {"b"}}, {}, {}, "there is no module proxy"},
      {"nothing", {}, {}, {}, "there is no module proxy"},
  };
  for (const auto& [what, proxies, answers, wanted, result] : kCases) {
    std::vector<std::string> asked;
    const auto out = try_proxies(proxies, [&, &known = answers](const std::string& url) {
      asked.push_back(url);
      return ProxyOutcome{known.at(url), failure(url)};
    });
    EXPECT_EQ(asked, wanted) << what;
    EXPECT_EQ(out.has_value(), !result.empty()) << what;
    if (out) {
      EXPECT_THAT(out->message, HasSubstr(result)) << what;
    }
  }
}

}  // namespace
}  // namespace gobuildenv::agent
