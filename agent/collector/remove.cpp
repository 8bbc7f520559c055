#include "agent/collector/remove.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "agent/collector/module_cache.hpp"
#include "agent/collector/text.hpp"

namespace gobuildenv::agent::collector {

namespace {

RemovalResult failed(const std::string& path, const std::error_code& error) {
  return {Removal::Failed, printable(path) + ": " + error.message()};
}

struct Split {
  std::string folder;
  std::string name;
};

Split split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

/// Removes one file; gone already is fine.
std::error_code unlink_file(int dir, const std::string& name) {
  if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  return last_error();
}

/// Go's lock on a module version or a clone, taken without waiting.
struct Lock {
  Fd fd;  ///< none: go has never worked on it here
  std::optional<RemovalResult> refused;
};

Lock lock(int dir, const std::string& name, const std::string& shown) {
  // Not made where it is missing: that is a layer, where no go command ever works. One of ours
  // would be shown to every later pod, whose user may not open it.
  auto fd = open_beneath(dir, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  if (!fd && fd.error() == std::errc::no_such_file_or_directory) return {Fd(), std::nullopt};
  if (!fd) return {Fd(), failed(shown, fd.error())};
  const auto stat = stat_at(fd->get(), "");
  if (!stat || stat->type != EntryType::File) {
    return {Fd(), RemovalResult{Removal::Failed, printable(shown) + ": not a regular file"}};
  }
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return {Fd(), RemovalResult{Removal::Busy, {}}};
    return {Fd(), failed(shown, last_error())};
  }
  return {std::move(*fd), std::nullopt};
}

/// Sets `.partial`; gives whether it was missing.
IoResult<bool> mark(int dir, const std::string& name) {
  constexpr int kFlags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK;
  constexpr unsigned kMode = 0666;  // as go makes it; the umask applies
  const auto made = open_beneath(dir, name, kFlags | O_CREAT | O_EXCL, kMode);
  if (made) return true;
  // A full disk must not stop the one who makes room. The rename alone is one step as well: go
  // finds the whole module or none.
  if (made.error() == std::errc::no_space_on_device) return false;
  if (made.error() != std::errc::file_exists) return tl::unexpected(made.error());
  if (const auto there = open_beneath(dir, name, kFlags); !there) {
    return tl::unexpected(there.error());
  }
  return false;
}

std::error_code take_folder(const Fd& cache, const std::string& path, const Trash& trash) {
  const Split at = split(path);
  const auto parent = open_folder(cache.get(), at.folder);
  if (!parent) return parent.error();
  return trash.take(parent->get(), at.name);
}

}  // namespace

RemovalResult remove_module(const Fd& cache, const std::string& module, const Trash& trash,
                            const InUseNow& in_use, const StepHook& hook) {
  const std::string stem = download_stem(module);
  if (stem.empty()) {
    return {Removal::Failed, printable(module) + ": not a module's name; want path@version"};
  }
  const Split at = split(stem);
  const auto folder = open_folder(cache.get(), at.folder);
  if (!folder) {
    // Extracted by hand, or half copied: go would not use it without its ziphash.
    if (folder.error() == std::errc::no_such_file_or_directory) {
      return remove_folder(cache, module, trash, in_use, hook);
    }
    return failed(at.folder, folder.error());
  }
  const int dir = folder->get();
  const Lock held = lock(dir, at.name + ".lock", stem + ".lock");
  if (held.refused) return *held.refused;
  if (in_use()) return {Removal::InUse, {}};
  bool made = false;
  if (held.fd) {
    const auto marked = mark(dir, at.name + ".partial");
    if (!marked) return failed(stem + ".partial", marked.error());
    made = *marked;
    step(hook, "module-partial");
  }
  const std::error_code taken = take_folder(cache, module, trash);
  if (taken && taken != std::errc::no_such_file_or_directory) {
    // The module stays as it was: a damaged one, which had .partial before, with it.
    if (made) {
      if (const auto error = unlink_file(dir, at.name + ".partial")) return failed(stem, error);
    }
    return failed(module, taken);
  }
  step(hook, "module-renamed");
  if (const auto error = unlink_file(dir, at.name + ".zip")) return failed(stem + ".zip", error);
  step(hook, "module-zip");
  if (const auto error = unlink_file(dir, at.name + ".ziphash")) {
    return failed(stem + ".ziphash", error);
  }
  step(hook, "module-ziphash");
  if (const auto error = unlink_file(dir, at.name + ".partial")) {
    return failed(stem + ".partial", error);
  }
  step(hook, "module-done");
  return {Removal::Done, {}};
}

RemovalResult remove_zip(const Fd& cache, const std::string& module, const InUseNow& in_use,
                         const StepHook& hook) {
  const std::string stem = download_stem(module);
  if (stem.empty()) {
    return {Removal::Failed, printable(module) + ": not a module's name; want path@version"};
  }
  const Split at = split(stem);
  const auto folder = open_folder(cache.get(), at.folder);
  if (!folder) return failed(at.folder, folder.error());
  const int dir = folder->get();
  const Lock held = lock(dir, at.name + ".lock", stem + ".lock");
  if (held.refused) return *held.refused;
  if (in_use()) return {Removal::InUse, {}};
  // Only beside a module that go would take as it is; else the zip is all there is.
  if (!exists_at(cache.get(), module) || exists_at(dir, at.name + ".partial") ||
      !exists_at(dir, at.name + ".ziphash")) {
    return {Removal::Gone, {}};
  }
  if (::unlinkat(dir, (at.name + ".zip").c_str(), 0) != 0) {
    if (errno == ENOENT) return {Removal::Gone, {}};
    return failed(stem + ".zip", last_error());
  }
  step(hook, "zip-removed");
  return {Removal::Done, {}};
}

RemovalResult remove_vcs(const Fd& cache, const std::string& name, const Trash& trash,
                         const InUseNow& in_use, const StepHook& hook) {
  const Split at = split(name);
  const auto folder = open_folder(cache.get(), at.folder);
  if (!folder) return failed(at.folder, folder.error());
  const int dir = folder->get();
  const Lock held = lock(dir, at.name + ".lock", name + ".lock");
  if (held.refused) return *held.refused;
  if (in_use()) return {Removal::InUse, {}};
  const std::error_code taken = trash.take(dir, at.name);
  if (taken && taken != std::errc::no_such_file_or_directory) return failed(name, taken);
  step(hook, "vcs-renamed");
  if (const auto error = unlink_file(dir, at.name + ".info")) return failed(name + ".info", error);
  step(hook, "vcs-done");
  return {taken ? Removal::Gone : Removal::Done, {}};
}

RemovalResult remove_folder(const Fd& root, const std::string& path, const Trash& trash,
                            const InUseNow& in_use, const StepHook& hook) {
  if (in_use()) return {Removal::InUse, {}};
  const std::error_code taken = take_folder(root, path, trash);
  if (taken == std::errc::no_such_file_or_directory) return {Removal::Gone, {}};
  if (taken) return failed(path, taken);
  step(hook, "folder-renamed");
  return {Removal::Done, {}};
}

}  // namespace gobuildenv::agent::collector
