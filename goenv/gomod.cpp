#include "goenv/gomod.hpp"

#include <optional>

#include "goenv/text.hpp"
#include "goenv/version.hpp"

namespace gobuildenv::goenv {
namespace {

/// Words of one line; a comment ends it, "(" and ")" are words of their own.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  while (!(line = trim(line)).empty() && !line.starts_with("//")) {
    if (line.front() == '"' || line.front() == '`') {
      const auto end = line.find(line.front(), 1);
      if (end == std::string_view::npos) return words;
      words.emplace_back(line.substr(1, end - 1));
      line.remove_prefix(end + 1);
      continue;
    }
    if (line.front() == '(' || line.front() == ')') {
      words.emplace_back(line.substr(0, 1));
      line.remove_prefix(1);
      continue;
    }
    std::size_t end = 0;
    while (end < line.size() && !is_space(line[end]) && line[end] != '(' && line[end] != ')' &&
           !line.substr(end).starts_with("//")) {
      ++end;
    }
    words.emplace_back(line.substr(0, end));
    line.remove_prefix(end);
  }
  return words;
}

void set_once(std::string& target, const std::string& value) {
  if (target.empty()) target = value;
}

/// One directive with its arguments, whether on a line of its own or inside a block.
void take(GoModFile& out, std::string_view verb, const std::vector<std::string>& arguments) {
  if (arguments.empty()) return;
  if (verb == "module") set_once(out.module, arguments[0]);
  if (verb == "go") set_once(out.go, arguments[0]);
  if (verb == "toolchain") set_once(out.toolchain, arguments[0]);
  if (verb == "use") out.uses.push_back(arguments[0]);
  if (verb == "require" && arguments.size() >= 2) {
    out.requirements.push_back(arguments[0] + " " + arguments[1]);
  }
}

/// What the first release of a language version is called.
GoVersion first_release(GoVersion v) {
  if (v.is_range()) v.patch = 0;
  return v;
}

}  // namespace

GoModFile parse_go_mod(std::string_view text) {
  GoModFile out;
  std::string block;  // verb of the block we are in
  for (const auto line : split(text, '\n')) {
    auto words = words_of(line);
    if (words.empty()) continue;
    if (!block.empty()) {
      if (words[0] == ")") {
        block.clear();
      } else {
        take(out, block, words);
      }
      continue;
    }
    const std::string verb = words[0];
    words.erase(words.begin());
    if (words.size() == 1 && words[0] == "(") {
      block = verb;
    } else if (words.empty() || words[0] != "(") {
      take(out, verb, words);
    }
  }
  return out;
}

std::string required_go(const GoModFile& file) {
  std::optional<GoVersion> wanted;
  if (const auto go = parse_version(file.go)) wanted = first_release(*go);
  if (const auto toolchain = parse_toolchain_name(file.toolchain)) {
    const auto release = first_release(*toolchain);
    if (!wanted || *wanted < release) wanted = release;
  }
  return wanted ? to_string(*wanted) : "1.16";
}

}  // namespace gobuildenv::goenv
