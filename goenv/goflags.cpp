#include "goenv/goflags.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "goenv/text.hpp"

namespace gobuildenv::goenv {
namespace {

enum class Kind { Boolean, BooleanOrAuto, Value };

struct KnownFlag {
  std::string_view name;
  Kind kind = Kind::Value;
  int since = 18;  ///< minor version of the first Go that knows it; 18 for all older ones
  /// Why it may not stand in GOFLAGS; empty when it may.
  std::string_view refused = {};
};

constexpr std::string_view kRunsProgram =
    "runs another program in place of go's own; it cannot be set for every build";
constexpr std::string_view kDoesNothing = "makes go build or test nothing without a word";

/// Flags of `go build` and `go test`, from `go help build`, `go help test` and `go help testflag`.
constexpr std::array kFlags{
    KnownFlag{"C", Kind::Value, 20, "must be the first word on a command line"},
    KnownFlag{"a", Kind::Boolean},
    KnownFlag{"artifacts", Kind::Boolean, 26},
    KnownFlag{"asan", Kind::Boolean},
    KnownFlag{"asmflags"},
    KnownFlag{"bench"},
    KnownFlag{"benchmem", Kind::Boolean},
    KnownFlag{"benchtime"},
    KnownFlag{"blockprofile"},
    KnownFlag{"blockprofilerate"},
    KnownFlag{"buildmode"},
    KnownFlag{"buildvcs", Kind::BooleanOrAuto},
    KnownFlag{"c", Kind::Boolean, 18, kDoesNothing},
    KnownFlag{"compiler"},
    KnownFlag{"count"},
    KnownFlag{"cover", Kind::Boolean},
    KnownFlag{"covermode"},
    KnownFlag{"coverpkg"},
    KnownFlag{"coverprofile"},
    KnownFlag{"cpu"},
    KnownFlag{"cpuprofile"},
    KnownFlag{"exec", Kind::Value, 18, kRunsProgram},
    KnownFlag{"failfast", Kind::Boolean},
    KnownFlag{"fullpath", Kind::Boolean, 21},
    KnownFlag{"fuzz"},
    KnownFlag{"fuzzminimizetime"},
    KnownFlag{"fuzztime"},
    KnownFlag{"gccgoflags"},
    KnownFlag{"gcflags"},
    KnownFlag{"installsuffix"},
    KnownFlag{"json", Kind::Boolean},
    KnownFlag{"ldflags"},
    KnownFlag{"linkshared", Kind::Boolean},
    KnownFlag{"list", Kind::Value, 18, kDoesNothing},
    KnownFlag{"memprofile"},
    KnownFlag{"memprofilerate"},
    KnownFlag{"mod"},
    KnownFlag{"modcacherw", Kind::Boolean},
    KnownFlag{"modfile"},
    KnownFlag{"msan", Kind::Boolean},
    KnownFlag{"mutexprofile"},
    KnownFlag{"mutexprofilefraction"},
    KnownFlag{"n", Kind::Boolean, 18, kDoesNothing},
    KnownFlag{"o", Kind::Value, 18, "would give every build one output file"},
    KnownFlag{"outputdir"},
    KnownFlag{"overlay", Kind::Value, 18, "replaces source files behind the build's back"},
    KnownFlag{"p"},
    KnownFlag{"parallel"},
    KnownFlag{"pgo", Kind::Value, 20},
    KnownFlag{"pkgdir"},
    KnownFlag{"race", Kind::Boolean},
    KnownFlag{"run"},
    KnownFlag{"short", Kind::Boolean},
    KnownFlag{"shuffle"},
    KnownFlag{"skip", Kind::Value, 20},
    KnownFlag{"tags"},
    KnownFlag{"timeout"},
    KnownFlag{"toolexec", Kind::Value, 18, kRunsProgram},
    KnownFlag{"trace"},
    KnownFlag{"trimpath", Kind::Boolean},
    KnownFlag{"v", Kind::Boolean},
    KnownFlag{"vet"},
    KnownFlag{"vettool", Kind::Value, 18, kRunsProgram},
    KnownFlag{"work", Kind::Boolean},
    KnownFlag{"x", Kind::Boolean},
};

/// What Go's strconv.ParseBool takes; the first six are true.
constexpr std::array<std::string_view, 12> kBooleans{"1", "t", "T", "TRUE",  "true",  "True",
                                                     "0", "f", "F", "FALSE", "false", "False"};

bool is_boolean(std::string_view v) {
  return std::find(kBooleans.begin(), kBooleans.end(), v) != kBooleans.end();
}

/// Flags whose value go takes from a closed list.
struct Choice {
  std::string_view name;
  std::string_view values;  ///< separated by spaces
};
constexpr std::array kChoices{
    Choice{"mod", "readonly vendor mod"},
    Choice{"buildmode", "default exe pie archive c-archive c-shared shared plugin"},
    Choice{"covermode", "set count atomic"},
    Choice{"compiler", "gc gccgo"},
};

/// Flags for the tools that go calls, `[pattern=]flags` (go help build).
constexpr std::array kPerPackage{"asmflags", "gccgoflags", "gcflags", "ldflags"};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r";
  const auto start = text.find_first_not_of(kSpace);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kSpace) - start + 1);
}

std::optional<std::string> check_per_package(const GoFlag& flag) {
  std::string_view value = trim(*flag.value);
  if (value.empty()) return std::nullopt;
  if (value.front() == '\'' || value.front() == '"') {
    return fmt::format(
        "-{0} may not begin with a quote: an item needs none, write \"-{0}=-s -w\" with the quotes "
        "around the whole",
        flag.name);
  }
  if (value.front() != '-') {
    const auto equals = value.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return fmt::format("-{} needs flags, which begin with \"-\", or PATTERN=FLAGS", flag.name);
    }
    value.remove_prefix(equals + 1);
  }
  const auto fields = split_quoted(value);
  if (!fields) return fmt::format("-{}: {}", flag.name, fields.error());
  return std::nullopt;
}

std::optional<std::string> check_value(const GoFlag& flag) {
  if (std::find(kPerPackage.begin(), kPerPackage.end(), flag.name) != kPerPackage.end()) {
    return check_per_package(flag);
  }
  if (flag.name == "modfile" && !flag.value->empty() && !flag.value->ends_with(".mod")) {
    return "-modfile must name a file that ends in .mod";
  }
  if (flag.name == "timeout" && !flag.value->empty() && all_of(*flag.value, is_digit) &&
      flag.value->find_first_not_of('0') != std::string::npos) {
    return fmt::format("-timeout needs a unit: write \"-timeout={}s\"", *flag.value);
  }
  // Go also takes "+1" and "0x2"; only what holds no digit at all is certainly no number.
  if (flag.name == "count" && std::none_of(flag.value->begin(), flag.value->end(), is_digit)) {
    return "-count must be a number";
  }
  for (const auto& choice : kChoices) {
    if (choice.name != flag.name) continue;
    for (const auto option : split(choice.values, ' ')) {
      if (option == *flag.value) return std::nullopt;
    }
    return fmt::format("-{} must be one of {}", flag.name, choice.values);
  }
  const bool counts = flag.name == "p" || flag.name == "parallel";
  if (counts && (flag.value->empty() || flag.value->size() > 4 || flag.value->front() == '0' ||
                 !all_of(*flag.value, is_digit))) {
    return fmt::format("-{} must be a number from 1 to 9999", flag.name);
  }
  return std::nullopt;
}

/// Names go has never known, spelt as another tool or an old go spells them.
std::string unknown_flag(std::string_view name) {
  if (name == "s" || name == "w") {
    return "-s and -w belong to the linker: write \"-ldflags=-s -w\" as one item";
  }
  if (name == "i" || name == "insecure") {
    return fmt::format("-{} has gone from go; {}", name,
                       name == "i" ? "leave it out" : "use variables.GOINSECURE");
  }
  return fmt::format("-{} is not a flag of go build or go test; every go command would fail", name);
}

}  // namespace

tl::expected<std::vector<std::string>, std::string> split_quoted(std::string_view text) {
  std::vector<std::string> fields;
  while (true) {
    const auto start = text.find_first_not_of(" \t\n\r");
    if (start == std::string_view::npos) return fields;
    text.remove_prefix(start);
    if (text.front() == '\'' || text.front() == '"') {
      const char quote = text.front();
      const auto end = text.find(quote, 1);
      if (end == std::string_view::npos) {
        return tl::unexpected(fmt::format("the {} is not closed", quote));
      }
      fields.emplace_back(text.substr(1, end - 1));
      text.remove_prefix(end + 1);
      continue;
    }
    const auto end = std::min(text.find_first_of(" \t\n\r"), text.size());
    fields.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

tl::expected<std::string, std::string> join_quoted(std::span<const std::string> fields) {
  std::string out;
  for (const auto& field : fields) {
    if (field.empty()) return tl::unexpected(std::string("an empty item cannot be written"));
    if (has_control(field)) {
      return tl::unexpected(
          fmt::format("\"{}\" holds a control character such as a line break", printable(field)));
    }
    const bool single = field.find('\'') != std::string::npos;
    const bool twofold = field.find('"') != std::string::npos;
    if (single && twofold) {
      return tl::unexpected(
          fmt::format("\"{}\" holds both ' and \": go has no way to quote it", field));
    }
    if (!out.empty()) out += ' ';
    if (single) {
      out += '"' + field + '"';
    } else if (twofold || field.find(' ') != std::string::npos) {
      out += '\'' + field + '\'';
    } else {
      out += field;
    }
  }
  return out;
}

std::optional<GoFlag> parse_flag(std::string_view text) {
  if (!text.starts_with('-')) return std::nullopt;
  text.remove_prefix(1);
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || text.front() == '-' || text.front() == '=') return std::nullopt;
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return GoFlag{text, std::nullopt};
  return GoFlag{text.substr(0, equals), text.substr(equals + 1)};
}

std::optional<std::string> check_flag(std::string_view text,
                                      const std::optional<GoVersion>& version) {
  const auto flag = parse_flag(text);
  if (!flag) {
    return "is not a flag: every item starts with \"-\" and holds one flag with its value, such as "
           "\"-ldflags=-s -w\"";
  }
  if (flag->name.find_first_of(" \t") != std::string_view::npos) {
    return fmt::format(
        "holds more than one word: write \"-{}=…\" for a flag with its value, and "
        "each further flag as an item of its own",
        flag->name.substr(0, flag->name.find_first_of(" \t")));
  }
  const auto* known = std::find_if(kFlags.begin(), kFlags.end(),
                                   [&](const KnownFlag& f) { return f.name == flag->name; });
  if (known == kFlags.end()) return unknown_flag(flag->name);
  if (!known->refused.empty()) {
    return fmt::format("-{} {}; give it on the command line where it is needed", flag->name,
                       known->refused);
  }
  if (version && version->major == 1 && version->minor < known->since) {
    return fmt::format("-{} is new in Go 1.{}; Go {} would refuse every command", flag->name,
                       known->since, to_string(*version));
  }
  if (known->kind == Kind::Value) {
    if (!flag->value) return fmt::format("-{0} needs a value: write \"-{0}=…\"", flag->name);
    return check_value(*flag);
  }
  const bool automatic = known->kind == Kind::BooleanOrAuto && flag->value == "auto";
  if (flag->value && !automatic && !is_boolean(*flag->value)) {
    return fmt::format("-{} is a switch: write \"-{}\", or \"-{}=false\"", flag->name, flag->name,
                       flag->name);
  }
  return std::nullopt;
}

bool flag_is_on(std::span<const std::string> flags, std::string_view name) {
  bool on = false;
  for (const auto& text : flags) {
    const auto flag = parse_flag(text);
    if (!flag || flag->name != name) continue;
    on = !flag->value ||
         std::find(kBooleans.begin(), kBooleans.begin() + 6, *flag->value) != kBooleans.begin() + 6;
  }
  return on;
}

std::string_view flag_value(std::span<const std::string> flags, std::string_view name) {
  std::string_view value;
  for (const auto& text : flags) {
    const auto flag = parse_flag(text);
    if (flag && flag->name == name) value = flag->value.value_or("");
  }
  return value;
}

}  // namespace gobuildenv::goenv
