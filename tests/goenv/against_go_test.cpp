#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "goenv/goflags.hpp"
#include "goenv/precedence.hpp"
#include "goenv/variables.hpp"
#include "goenv/version.hpp"
#include "tests/goenv/real_go.hpp"

/// Our model of the go command against the one of this machine.
namespace gobuildenv::goenv {
namespace {

using testing_go::run_go;

class AgainstGo : public testing::Test {
 protected:
  void SetUp() override {
    const auto found = testing_go::find_go();
    if (!found) GTEST_SKIP() << "no go on PATH: install one (any from 1.21 on) to run these tests";
    go_ = *found;
    const auto version = run_go(go_, {"env", "GOVERSION"}, {});
    version_ = parse_toolchain_name(trim(version.output));
    ASSERT_TRUE(version_) << version.output;
  }

  std::string go_;
  std::optional<GoVersion> version_;
};

TEST_F(AgainstGo, PrecedenceOfEveryLayer) {
  const auto file = testing::TempDir() + "gbe-goenv-" + std::to_string(::getpid());
  const auto goroot = std::string(trim(run_go(go_, {"env", "GOROOT"}, {}).output));
  std::ostringstream go_env;
  go_env << std::ifstream(goroot + "/go.env").rdbuf();

  struct Case {
    GoSettings os;
    std::string user_file;
  };
  const Case cases[] = {
      {{}, ""},
      {{}, "GOPROXY=https://file.example\nGOPRIVATE=file.example\nGODEBUG=x=1\n"},
      {{{"GOPROXY", "direct"}, {"GOPRIVATE", ""}}, "GOPROXY=https://f\nGOPRIVATE=file.example\n"},
      {{}, "GOPROXY=\nGOSUMDB=\nGOINSECURE=a.example\n"},
      {{{"GOFLAGS", ""}}, "GOFLAGS='-ldflags=-s -w' -v\n GOPRIVATE=indented\n#GOVCS=x\n"},
      {{{"GODEBUG", "netdns=go"}}, "GOPRIVATE='quoted'\nGOPRIVATE=last\n"},
      {{{"GOSUMDB", "off"}, {"GOVCS", "*:git"}}, "gosumdb=x\nGOVCS=*:hg\n"},
  };
  for (const auto& c : cases) {
    std::ofstream(file) << c.user_file;
    std::map<std::string, std::string> env{c.os.begin(), c.os.end()};
    env["GOENV"] = file;
    const SettingLayers layers{
        c.os, parse_go_env(c.user_file), parse_goroot_go_env(go_env.str()), {}};
    for (const std::string name :
         {"GOPROXY", "GOPRIVATE", "GOSUMDB", "GOFLAGS", "GOINSECURE", "GOVCS", "GODEBUG"}) {
      const auto got = run_go(go_, {"env", name}, env);
      EXPECT_EQ(trim(got.output), effective(layers, name).value) << name << " " << c.user_file;
    }
  }
  std::filesystem::remove(file);
}

TEST_F(AgainstGo, AcceptedFlagsAreKnown) {
  const char* flags[] = {"-a",
                         "-asan",
                         "-asmflags=-S",
                         "-bench=x",
                         "-benchmem",
                         "-benchtime=1s",
                         "-buildmode=pie",
                         "-buildvcs=false",
                         "-compiler=gc",
                         "-count=1",
                         "-cover",
                         "-covermode=set",
                         "-coverpkg=./...",
                         "-coverprofile=x",
                         "-cpu=1",
                         "-cpuprofile=x",
                         "-failfast",
                         "-fullpath",
                         "-fuzz=x",
                         "-fuzztime=1s",
                         "-fuzzminimizetime=1s",
                         "-gcflags=all=-N -l",
                         "-gccgoflags=-x",
                         "-installsuffix=x",
                         "-json",
                         "-ldflags=-s -w",
                         "-linkshared",
                         "-memprofile=x",
                         "-memprofilerate=1",
                         "-mod=mod",
                         "-modcacherw",
                         "-modfile=x.mod",
                         "-msan",
                         "-mutexprofile=x",
                         "-outputdir=x",
                         "-p=2",
                         "-parallel=2",
                         "-pgo=off",
                         "-pkgdir=x",
                         "-race",
                         "-run=x",
                         "-short",
                         "-shuffle=on",
                         "-skip=x",
                         "-tags=a,b",
                         "-timeout=1m",
                         "-trace=x",
                         "--trimpath",
                         "-v",
                         "-vet=off",
                         "-work",
                         "-x",
                         "-mutexprofilefraction=1",
                         "-blockprofile=x",
                         "-blockprofilerate=1",
                         "-artifacts"};
  for (const std::string flag : flags) {
    if (check_flag(flag, version_)) continue;  // newer than the go of this machine
    const std::string one[] = {flag};
    const auto got = run_go(go_, {"version"}, {{"GOFLAGS", *join_quoted(one)}});
    // `go version` knows few flags and ignores the others, as long as some command knows them.
    EXPECT_THAT(got.output, testing::Not(testing::HasSubstr("unknown flag"))) << flag;
    EXPECT_THAT(got.output, testing::Not(testing::HasSubstr("parsing $GOFLAGS"))) << flag;
  }
}

TEST_F(AgainstGo, RefusedFlagsStopGo) {
  const char* flags[] = {"trimpath", "-", "--", "---x", "-=x", "-trimpth", "-ldflags -s"};
  for (const std::string flag : flags) {
    EXPECT_TRUE(check_flag(flag, version_)) << flag;
    const std::string one[] = {flag};
    const auto got = run_go(go_, {"version"}, {{"GOFLAGS", *join_quoted(one)}});
    EXPECT_NE(got.status, 0) << flag << ": " << got.output;
  }
}

TEST_F(AgainstGo, ValuesOfFlagsThatStopGo) {
  // `go version` ignores the values of flags that it does not know itself: a build must be asked.
  const auto folder = testing::TempDir() + "gbe-module-" + std::to_string(::getpid());
  std::filesystem::create_directories(folder);
  for (const char* file : {"/go.mod", "/tools.mod"}) {
    std::ofstream(folder + file) << "module example.com/m\n\ngo 1.18\n";
  }
  std::ofstream(folder + "/m.go") << "package m\n";
  std::ofstream(folder + "/go.work") << "go 1.18\n\nuse .\n";
  const auto run = [&](std::string_view command, const std::string& flag, const std::string& work) {
    const std::string one[] = {flag};
    // -n: flags are read, nothing is compiled.
    std::vector<std::string> words{"-C", folder, std::string(command), "."};
    if (command == "test") words.insert(words.end() - 1, "-n");
    return run_go(go_, words,
                  {{"GOFLAGS", *join_quoted(one)},
                   {"GOWORK", work},
                   {"CGO_ENABLED", "0"},
                   {"GOCACHE", folder + "/cache"}});
  };
  struct Case {
    const char* command;
    const char* flag;
    bool good;
  };
  const Case cases[] = {
      {"list", "-ldflags=-s -w", true},     {"list", "-ldflags=", true},
      {"list", "-ldflags= -s -w", true},    {"list", "-ldflags=-X 'm.v=a b'", true},
      {"list", "-gcflags=all=-N -l", true}, {"list", "-gcflags=./...=", true},
      {"list", "-modfile=tools.mod", true}, {"list", "-ldflags=\"-s -w\"", false},
      {"list", "-asmflags='x'", false},     {"list", "-ldflags=-X 'm.v=a", false},
      {"list", "-gcflags=all", false},      {"list", "-gcflags==-N", false},
      {"list", "-modfile=x.txt", false},    {"test", "-timeout=0", true},
      {"test", "-timeout=1h30m", true},     {"test", "-timeout=10", false},
      {"test", "-count=+1", true},          {"test", "-count=0x2", true},
      {"test", "-count=x", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.flag);
    EXPECT_EQ(!check_flag(c.flag, version_), c.good);
    const auto got = run(c.command, c.flag, "off");
    EXPECT_EQ(got.status == 0, c.good) << got.output;
  }
  for (const char* flag : {"-mod=mod", "-modfile=tools.mod"}) {
    EXPECT_EQ(run("list", flag, "off").status, 0) << flag;
    EXPECT_NE(run("list", flag, folder + "/go.work").status, 0) << flag;
  }
  const bool knows = version_ >= GoVersion{1, 22};
  const auto vendored = run("list", "-mod=vendor", folder + "/go.work");
  EXPECT_EQ(vendored.output.find("set to readonly when in workspace") >= vendored.output.size(),
            knows)
      << vendored.output;
  std::filesystem::remove_all(folder);
}

TEST_F(AgainstGo, ValuesThatStopGo) {
  struct Case {
    const char* name;
    const char* good;
    const char* bad;
  };
  // GOAMD64, GO386 and GOARM are left out: since 1.23 a later check hides their errors in `go env`.
  const Case cases[] = {
      {"GOMIPS", "softfloat", "soft"},  {"GOMIPS64", "hardfloat", "x"},
      {"GOPPC64", "power9", "power7"},  {"GOWASM", "satconv", "simd"},
      {"GO111MODULE", "auto", "maybe"}, {"GOEXPERIMENT", "", "No,Such"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_FALSE(check_variable_value(c.name, c.good));
    EXPECT_TRUE(check_variable_value(c.name, c.bad));
    EXPECT_EQ(run_go(go_, {"env", "GOOS"}, {{c.name, c.good}}).status, 0);
    const auto stopped = run_go(go_, {"env", "GOOS"}, {{c.name, c.bad}});
    EXPECT_NE(stopped.status, 0) << stopped.output;
  }
}

}  // namespace
}  // namespace gobuildenv::goenv
