#include "kube/subprocess.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill() is POSIX
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

extern char** environ;  // NOLINT: POSIX gives no other name

namespace gobuildenv::kube {
namespace {

using Kind = CommandError::Kind;

tl::unexpected<CommandError> fail(Kind kind, std::string message) {
  return tl::unexpected(CommandError{kind, std::move(message)});
}

std::string errno_text(int code) { return std::generic_category().message(code); }

/// Ours, with `added` in place of variables of the same name.
std::vector<std::string> environment(
    const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (std::none_of(added.begin(), added.end(),
                     [&](const auto& pair) { return pair.first == name; })) {
      out.emplace_back(text);
    }
  }
  for (const auto& [name, value] : added) {
    out.push_back(name + "=" + value);
  }
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (auto& text : texts) {
    out.push_back(text.data());
  }
  out.push_back(nullptr);
  return out;
}

/// glibc 2.36 declares pidfd_open() without C linkage.
int open_pidfd(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

/// A started child: killed with its group and waited for, whatever happens.
class Child {
 public:
  Child(pid_t pid, int output) : pid_(pid), pidfd_(open_pidfd(pid)), output_(output) {}
  ~Child() {
    if (pid_ > 0) {
      kill(-pid_, SIGKILL);
      int status = 0;
      while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
      }
    }
    if (pidfd_ >= 0) {
      close(pidfd_);
    }
    close(output_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  [[nodiscard]] int pidfd() const { return pidfd_; }
  [[nodiscard]] int output() const { return output_; }
  /// The exit code, or 128 + signal; call when pidfd() is readable.
  int reap() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    kill(-pid_, SIGKILL);  // what it may have left behind in its group
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
  int pidfd_;
  int output_;
};

/// Milliseconds to wait, at most a second: poll() is called again.
int wait_milliseconds(Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now())
          .count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1000));
}

}  // namespace

tl::expected<std::string, CommandError> run_command(const Command& command) {
  int pipes[2];
  if (command.argv.empty() || pipe2(pipes, O_CLOEXEC) != 0) {
    return fail(Kind::Failed, "no pipe for the command");
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  // What we ignore, the plugin must not inherit as ignored.
  sigset_t defaults;
  sigemptyset(&defaults);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) {
    sigaddset(&defaults, number);
  }
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  auto argv_texts = command.argv;
  auto env_texts = environment(command.env);
  const auto argv = pointers(argv_texts);
  const auto envp = pointers(env_texts);
  pid_t pid = -1;
  const int code = posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(pipes[1]);
  if (code != 0) {
    close(pipes[0]);
    return fail(code == ENOENT ? Kind::NotFound : Kind::Failed,
                fmt::format("it cannot be started: {}", errno_text(code)));
  }
  Child child(pid, pipes[0]);
  std::string output;
  bool open = true;
  bool exited = false;
  std::array<char, 4096> chunk{};
  // Exit of the program ends it, not the end of its output: a grandchild may hold the pipe open.
  for (;;) {
    std::array<pollfd, 2> fds{
        {{child.pidfd(), POLLIN, 0}, {open ? child.output() : -1, POLLIN, 0}}};
    const int ready =
        poll(fds.data(), fds.size(), exited ? 0 : wait_milliseconds(command.deadline));
    if (fds[1].revents != 0) {
      const ssize_t got = read(child.output(), chunk.data(), chunk.size());
      open = got > 0 || (got < 0 && errno == EINTR);
      if (got > 0) {
        output.append(chunk.data(), static_cast<std::size_t>(got));
      }
      if (output.size() > command.max_output) {
        return fail(Kind::TooLarge, fmt::format("it wrote more than {} bytes", command.max_output));
      }
      continue;
    }
    if (exited) {
      break;
    }
    if (fds[0].revents != 0) {
      exited = true;  // and once more for what is left in the pipe
      continue;
    }
    if (ready == 0 && std::chrono::steady_clock::now() >= command.deadline) {
      return fail(Kind::Timeout, "it did not end in time and was killed");
    }
  }
  if (const int status = child.reap(); status != 0) {
    return fail(
        Kind::Failed,
        fmt::format("it ended with exit code {}; its own message is on standard error", status));
  }
  return output;
}

}  // namespace gobuildenv::kube
