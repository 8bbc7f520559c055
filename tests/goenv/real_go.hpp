#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "goenv/text.hpp"

/// Runs the go command of this machine, so that our model of it is held against the original.
namespace gobuildenv::goenv::testing_go {

/// Path of the first `go` on PATH; empty when there is none.
inline std::optional<std::string> find_go() {
  const char* path = std::getenv("PATH");
  if (path == nullptr) return std::nullopt;
  for (const auto directory : split(path, ':')) {
    const auto candidate = std::string(directory) + "/go";
    if (::access(candidate.c_str(), X_OK) == 0 && std::filesystem::is_regular_file(candidate)) {
      return candidate;
    }
  }
  return std::nullopt;
}

struct Outcome {
  int status = -1;
  std::string output;  ///< standard output and error together
};

/// Runs `go` with `arguments` and, but for PATH and a HOME that does not exist, only `env`.
inline Outcome run_go(const std::string& go, const std::vector<std::string>& arguments,
                      std::map<std::string, std::string> env) {
  env.try_emplace("PATH", std::getenv("PATH"));
  env.try_emplace("HOME", "/nonexistent");
  env.try_emplace("GOTOOLCHAIN", "local");
  std::vector<std::string> words{go};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> settings;
  for (const auto& [name, value] : env) settings.push_back(name + "=" + value);
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::vector<char*> envp;
  for (auto& setting : settings) envp.push_back(setting.data());
  envp.push_back(nullptr);

  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    if (::chdir("/") == 0) ::execve(go.c_str(), argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  Outcome outcome;
  std::array<char, 4096> buffer{};
  ssize_t got = 0;
  while ((got = ::read(ends[0], buffer.data(), buffer.size())) > 0) {
    outcome.output.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

}  // namespace gobuildenv::goenv::testing_go
