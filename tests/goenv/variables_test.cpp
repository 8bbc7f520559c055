#include "goenv/variables.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gobuildenv::goenv {
namespace {

TEST(Variables, Names) {
  struct Case {
    const char* name;
    const char* message;  ///< null: allowed
  };
  const Case cases[] = {
      {"GOEXPERIMENT", nullptr},
      {"GOAMD64", nullptr},
      {"GODEBUG", nullptr},
      {"CGO_CPPFLAGS", nullptr},
      {"GOFLAGS", "is set by spec.flags"},
      {"GOPROXY", "is set by spec.modules.proxies"},
      {"CGO_ENABLED", "is set by spec.cgo.policy"},
      {"CC", "is set by spec.cgo.cc"},
      {"GOTOOLCHAIN", "is set by spec.toolchain"},
      {"GOCACHE", "is set by spec.cache.build"},
      {"https_proxy", "is set by spec.modules.httpsProxy"},
      {"SSL_CERT_FILE", "is set by spec.modules.caBundle"},
      {"GOROOT", "is kept unset"},
      {"GOENV", "is set by the operator"},
      {"GOOS", "spec.platforms"},
      {"GOCACHEPROG", "a program that go would run"},
      {"GOVERSION", "is computed by go"},
      {"AR", "every other build in the container"},
      {"PATH", "would hide the image's programs"},
      {"LD_PRELOAD", "which code every program"},
      {"LD_AUDIT", "which code every program"},
      {"BASH_ENV", "every bash would run"},
      {"ENV", "every shell would run"},
      {"GOBUILDENV_BYPASS", "belongs to the operator"},
      {"GONOSUCH", "is not a variable of the go command"},
      {"PYTHONPATH", "is not a variable of the go command"},
      {"", "is not a variable of the go command"},
      {"goflags", "is not a variable of the go command"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto problem = check_variable_name(c.name);
    EXPECT_EQ(problem.has_value(), c.message != nullptr) << problem.value_or("");
    if (problem && c.message != nullptr) {
      EXPECT_THAT(*problem, testing::HasSubstr(c.message));
    }
  }
}

TEST(Variables, Values) {
  struct Case {
    const char* name;
    const char* value;
    bool good;
  };
  const Case cases[] = {
      {"GOAMD64", "v2", true},
      {"GOAMD64", "", true},
      {"GOAMD64", "2", false},
      {"GOARM", "7,hardfloat", true},
      {"GOARM", "7,", false},
      {"GOARM", "hardfloat", false},
      {"GOARM64", "v8.0", true},
      {"GOARM64", "v8.1,lse,crypto", true},
      {"GOARM64", "v9.6", false},
      {"GOARM64", "v7.0", false},
      {"GOEXPERIMENT", "rangefunc,noaliastypeparams", true},
      {"GOEXPERIMENT", "a b", false},
      {"GOEXPERIMENT", "a,", false},
      {"GODEBUG", "http2client=0,netdns=go+1", true},
      {"GODEBUG", "http2client", false},
      {"GODEBUG", "=1", false},
      {"GOVCS", "git.example:git,*:git|hg", true},
      {"GOVCS", "private:all", true},
      {"GOVCS", "git", false},
      {"GOVCS", "a:", false},
      {"GOVCS", "a:git|", false},
      {"GOVCS", "[:git", false},
      {"GOAUTH", "netrc; git /src", true},
      {"GOAUTH", "off", true},
      {"GOAUTH", "/bin/evil", false},
      {"GOAUTH", "netrc;sh -c x", false},
      {"GOAUTH", "", true},
      {"GOINSECURE", "a.example,*.b.example/x", true},
      {"GOINSECURE", "https://a.example", false},
      {"GOINSECURE", "[", false},
      {"GOMEMLIMIT", "2GiB", true},
      {"GOMEMLIMIT", "off", true},
      {"GOMEMLIMIT", "2G", false},
      {"GOMEMLIMIT", "GiB", false},
      {"GOGC", "off", true},
      {"GOGC", "200", true},
      {"GOGC", "-1", false},
      {"GOMAXPROCS", "4", true},
      {"GOMAXPROCS", "0", false},
      {"GOFIPS140", "v1.0.0", true},
      {"GOFIPS140", "on", false},
      {"GOTMPDIR", "/scratch/tmp", true},
      {"GOTMPDIR", "tmp", false},
      {"GOWASM", "satconv,signext", true},
      {"GOWASM", "satconv,", false},
      {"GO_EXTLINK_ENABLED", "1", true},
      {"GO_EXTLINK_ENABLED", "yes", false},
      {"CGO_CPPFLAGS", "-DX=1 '-DY=a b'", true},
      {"CGO_CPPFLAGS", "'-DX", false},
      {"CGO_CFLAGS_ALLOW", "-fx.*", true},
      {"CGO_CFLAGS_ALLOW", "a\nb", false},
      {"GODEBUG", "a=1\nPATH=/evil", false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(!check_variable_value(c.name, c.value).has_value(), c.good)
        << c.name << "=" << c.value;
  }
}

}  // namespace
}  // namespace gobuildenv::goenv
