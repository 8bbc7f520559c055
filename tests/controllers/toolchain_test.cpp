#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "controllers/toolchain/resolver.hpp"

namespace gobuildenv::controllers {
namespace {

using State = ToolchainAnswer::State;
using std::chrono::seconds;

/// Answers by target; status 0 is a refused connection, what is not listed is 404.
class FakeProxy final : public kube::Transport {
 public:
  std::map<std::string, std::pair<int, std::string>> answers;
  std::atomic<int> requests{0};
  std::atomic<bool>* hold = nullptr;

  tl::expected<kube::HttpResponse, kube::TransportError> send(
      const kube::HttpRequest& request) override {
    ++requests;
    while (hold != nullptr && *hold) {
      if (request.cancel != nullptr && request.cancel->raised()) {
        return tl::unexpected(
            kube::TransportError{kube::TransportError::Kind::Cancelled, "stopped"});
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    kube::HttpResponse response;
    response.status = 404;
    if (const auto found = answers.find(request.target); found != answers.end()) {
      if (found->second.first == 0) {
        return tl::unexpected(
            kube::TransportError{kube::TransportError::Kind::Connect, "connection refused"});
      }
      response.status = found->second.first;
      response.body = found->second.second;
    }
    return response;
  }
};

const std::string kModule = "/golang.org/toolchain/@v/";
std::string info(const std::string& version) {
  return kModule + "v0.0.1-go" + version + ".linux-amd64.info";
}

void fill(FakeProxy& proxy) {
  proxy.answers[kModule + "list"] = {200,
                                     "v0.0.1-go1.22.3.linux-amd64\nv0.0.1-go1.22.5.linux-amd64\n"
                                     "v0.0.1-go1.22.9.windows-amd64\r\n"
                                     "v0.0.1-go1.22rc1.linux-amd64\n"
                                     "v0.0.1-go1.23.0.linux-amd64\n"};
  for (const char* version : {"1.22.3", "1.22.5", "1.23.0"})
    proxy.answers[info(version)] = {200, "{}"};
}

ToolchainAnswer ask(const std::string& range,
                    std::vector<std::pair<goenv::Proxy, kube::Transport*>> proxies) {
  kube::FakeClock clock;
  return ask_proxies(range, proxies, {}, clock);
}

const goenv::Proxy kFirst{"https://user:hunter2@goproxy.example", goenv::ProxyFallback::NotFound};
const goenv::Proxy kAny{"https://goproxy.example", goenv::ProxyFallback::AnyError};

TEST(AskProxies, NewestListedPatchThatIsThere) {
  FakeProxy proxy;
  fill(proxy);
  EXPECT_EQ(ask("1.22", {{kFirst, &proxy}}).version, "1.22.5");
  EXPECT_EQ(ask("1.23", {{kFirst, &proxy}}).version, "1.23.0");
  for (const int missing : {404, 410, 403}) {
    proxy.answers[info("1.22.5")] = {missing, ""};
    EXPECT_EQ(ask("1.22", {{kFirst, &proxy}}).version, "1.22.3") << missing;
  }
}

TEST(AskProxies, ListsAreSparse) {
  FakeProxy proxy;
  proxy.answers[kModule + "list"] = {200, ""};
  proxy.answers[info("1.24.0")] = {200, "{}"};
  EXPECT_EQ(ask("1.24", {{kFirst, &proxy}}).version, "1.24.0");
  const ToolchainAnswer none = ask("1.25", {{kFirst, &proxy}});
  EXPECT_EQ(none.state, State::Final);
  EXPECT_EQ(none.reason, "VersionNotFound");
}

TEST(AskProxies, FallsBackAsGoDoes) {
  FakeProxy broken;
  broken.answers[kModule + "list"] = {0, ""};
  FakeProxy empty;
  FakeProxy proxy;
  fill(proxy);
  EXPECT_EQ(ask("1.22", {{kFirst, &empty}, {kFirst, &proxy}}).version, "1.22.5");
  EXPECT_EQ(ask("1.22", {{kAny, &broken}, {kFirst, &proxy}}).version, "1.22.5");
  const ToolchainAnswer stopped = ask("1.22", {{kFirst, &broken}, {kFirst, &proxy}});
  EXPECT_EQ(stopped.state, State::Failed);
  EXPECT_EQ(stopped.reason, "ProxyUnreachable");
  EXPECT_EQ(stopped.message.find("hunter2"), std::string::npos) << stopped.message;
  EXPECT_NE(stopped.message.find("goproxy.example"), std::string::npos);
  EXPECT_EQ(ask("1.22", {{kAny, &broken}, {kFirst, &empty}}).state, State::Failed)
      << "the one that did not answer may know it";
  broken.answers[kModule + "list"] = {502, ""};
  EXPECT_EQ(ask("1.22", {{kFirst, &broken}}).reason, "ProxyUnreachable");
  EXPECT_EQ(ask("latest", {{kFirst, &proxy}}).reason, "InvalidVersion");
  EXPECT_EQ(ask("1.22", {{{"off", {}}, nullptr}, {kFirst, &proxy}}).reason, "NoProxyConfigured");
  EXPECT_EQ(ask("1.22", {{{"direct", {}}, nullptr}}).reason, "NoProxyConfigured");
}

TEST(AskProxies, SaysWhatToDoWithoutAProxy) {
  const ToolchainAnswer answer = ask("1.22", {});
  EXPECT_EQ(answer.state, State::Final);
  EXPECT_NE(answer.message.find("--module-proxy"), std::string::npos);
  EXPECT_NE(answer.message.find("spec.toolchain.version"), std::string::npos);
}

/// Forwards to a proxy that the test owns.
class Forward final : public kube::Transport {
 public:
  explicit Forward(FakeProxy& proxy) : proxy_(proxy) {}
  tl::expected<kube::HttpResponse, kube::TransportError> send(
      const kube::HttpRequest& request) override {
    return proxy_.send(request);
  }

 private:
  FakeProxy& proxy_;
};

class Resolver : public ::testing::Test {
 protected:
  Resolver() {
    fill(proxy_);
    ResolverOptions options;
    options.proxies = {kAny};
    resolver_.emplace(
        options, [this](const std::string&) { return std::make_unique<Forward>(proxy_); }, clock_,
        [this](const kube::ObjectKey&) { ++ready_; });
  }

  /// Asks and waits until the answer has come.
  ToolchainAnswer answer(bool fresh = false) {
    ToolchainAnswer out = resolver_->resolve("1.22", fresh, {"ns", "app"});
    const auto until = std::chrono::steady_clock::now() + seconds(20);
    while (out.state == State::Pending && std::chrono::steady_clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      out = resolver_->resolve("1.22", fresh, {"ns", "app"});
    }
    return out;
  }

  kube::FakeClock clock_;
  FakeProxy proxy_;
  std::atomic<int> ready_{0};
  std::optional<ToolchainResolver> resolver_;
};

TEST_F(Resolver, TenThousandAskOnce) {
  std::atomic<bool> hold{true};
  proxy_.hold = &hold;
  for (int i = 0; i < 10000; ++i) {
    EXPECT_EQ(resolver_->resolve("1.22", false, {"ns", std::to_string(i)}).state, State::Pending);
  }
  hold = false;
  EXPECT_EQ(answer().version, "1.22.5");
  EXPECT_EQ(proxy_.requests, 2) << "the list and one confirmation";
  const auto until = std::chrono::steady_clock::now() + seconds(20);
  while (ready_ < 10000 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  EXPECT_GE(ready_, 10000);
}

TEST_F(Resolver, AnswersAreKeptAWhile) {
  answer();
  clock_.advance(seconds(599));
  EXPECT_EQ(answer().version, "1.22.5");
  EXPECT_EQ(proxy_.requests, 2);
  EXPECT_EQ(answer(true).version, "1.22.5");
  EXPECT_EQ(proxy_.requests, 4) << "a fresh answer was asked for";
  EXPECT_EQ(answer(true).version, "1.22.5");
  EXPECT_EQ(proxy_.requests, 4) << "and is fresh for all who ask now";
  clock_.advance(seconds(600));
  answer();
  EXPECT_EQ(proxy_.requests, 6);
}

TEST_F(Resolver, FailuresBackOff) {
  proxy_.answers[kModule + "list"] = {0, ""};
  EXPECT_EQ(answer().retry_after, 5);
  EXPECT_EQ(proxy_.requests, 1);
  clock_.advance(seconds(4));
  EXPECT_EQ(answer().retry_after, 1);
  EXPECT_EQ(proxy_.requests, 1);
  clock_.advance(seconds(1));
  EXPECT_EQ(answer().retry_after, 10);
  for (int i = 0; i < 20; ++i) {
    clock_.advance(seconds(300));
    EXPECT_LE(answer().retry_after, 300);
  }
  fill(proxy_);
  clock_.advance(seconds(300));
  EXPECT_EQ(answer().version, "1.22.5");
}

TEST_F(Resolver, StopsWhileAskingIsInProgress) {
  std::atomic<bool> hold{true};
  proxy_.hold = &hold;
  resolver_->resolve("1.22", false, {"ns", "app"});
  const auto until = std::chrono::steady_clock::now() + seconds(20);
  while (proxy_.requests == 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  // The proxy never answers.
  resolver_->stop();
  EXPECT_EQ(proxy_.requests, 1) << "neither the rest of this question nor another proxy";
  EXPECT_EQ(ready_, 0);
  EXPECT_EQ(resolver_->resolve("1.23", false, {"ns", "app"}).state, State::Pending);
}

}  // namespace
}  // namespace gobuildenv::controllers
