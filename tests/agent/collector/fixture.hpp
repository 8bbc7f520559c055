#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "agent/collector/fd.hpp"
#include "tests/agent/temp_folder.hpp"

/// Caches as the go command leaves them, small.
namespace gobuildenv::agent::collector::testing {

using agent::testing::read_file;
using agent::testing::TempFolder;
using agent::testing::write_file;

inline Fd open_path(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

inline bool exists(const std::string& path) {
  struct stat raw {};
  return ::lstat(path.c_str(), &raw) == 0;
}

/// Sets access and modification time, in seconds since 1970.
inline void set_times(const std::string& path, std::int64_t time) {
  const timespec times[2] = {{.tv_sec = time, .tv_nsec = 0}, {.tv_sec = time, .tv_nsec = 0}};
  ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

/// `files` files of `size` bytes in read-only folders, with zip, ziphash, info, mod and lock.
inline void make_module(const std::string& cache, const std::string& path,
                        const std::string& version, int files = 3, std::size_t size = 5000) {
  namespace fs = std::filesystem;
  const std::string extracted = cache + "/" + path + "@" + version;
  for (int i = 0; i < files; ++i) {
    write_file(extracted + "/pkg" + std::to_string(i % 2) + "/f" + std::to_string(i) + ".go",
               std::string(size, 'x'));
  }
  write_file(extracted + "/go.mod", "module " + path + "\n");
  const std::string stem = cache + "/cache/download/" + path + "/@v/" + version;
  write_file(stem + ".zip", std::string(2 * size, 'z'));
  write_file(stem + ".ziphash", "h1:aaaa=\n");
  write_file(stem + ".info", "{}");
  write_file(stem + ".mod", "module " + path + "\n");
  write_file(stem + ".lock", "");
  for (const auto& entry : fs::recursive_directory_iterator(extracted)) {
    if (entry.is_directory()) fs::permissions(entry.path(), fs::perms(0555));
  }
  fs::permissions(extracted, fs::perms(0555));
}

/// 64 hexadecimal digits that begin with `prefix`.
inline std::string hash_of(const std::string& prefix) {
  return prefix + std::string(64 - prefix.size(), '0');
}

/// An action and its output; gives their paths.
struct BuildPair {
  std::string action;
  std::string output;
};
inline BuildPair make_build(const std::string& cache, const std::string& action,
                            const std::string& output, std::int64_t used, std::size_t size = 9000) {
  const std::string a = hash_of(action);
  const std::string d = hash_of(output);
  BuildPair out{cache + "/" + a.substr(0, 2) + "/" + a + "-a",
                cache + "/" + d.substr(0, 2) + "/" + d + "-d"};
  write_file(out.action, "v1 " + a + " " + d + "                 9000  1700000000000000000\n");
  write_file(out.output, std::string(size, 'o'));
  set_times(out.action, used);
  set_times(out.output, used);
  return out;
}

}  // namespace gobuildenv::agent::collector::testing
