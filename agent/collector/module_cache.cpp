#include "agent/collector/module_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

namespace gobuildenv::agent::collector {

namespace {

/// Folders above a module; a module path of go's has far fewer elements.
constexpr int kMaxDepth = 64;
constexpr std::string_view kDownload = "cache/download";

/// Collects the names first: what is found is opened in turn, and the buffer is shared.
std::vector<std::string> names_in(const Fd& dir, TreeScan& scan, bool folders) {
  std::vector<std::string> out;
  const std::error_code error = for_each_entry(dir.get(), scan.buffer(), [&](const Entry& entry) {
    EntryType type = entry.type;
    if (type == EntryType::Unknown) {
      const auto stat = stat_at(dir.get(), entry.name.data());
      if (stat) type = stat->type;
    }
    if ((type == EntryType::Folder) == folders) out.emplace_back(entry.name);
  });
  // Half a list would make units look gone; they are looked at again in the next scan.
  if (error) out.clear();
  return out;
}

struct Scanner {
  TreeScan& scan;
  ModuleMemos& before;
  ModuleMemos after;
  std::map<std::string, CachedModule, std::less<>> modules;
  Totals other;

  CachedModule& module(const std::string& name) {
    CachedModule& out = modules[name];
    out.name = name;
    return out;
  }

  void add_files(const Fd& dir) {
    for (const std::string& name : names_in(dir, scan, false)) {
      if (const auto stat = stat_at(dir.get(), name.c_str())) scan.add_file(*stat, other);
    }
  }

  void add_self(const Fd& dir) {
    if (const auto stat = stat_at(dir.get(), "")) scan.add_file(*stat, other);
  }

  std::optional<Fd> open(const Fd& dir, const std::string& name) {
    auto fd = open_folder(dir.get(), name);
    if (fd) return std::move(*fd);
    if (fd.error() != std::errc::no_such_file_or_directory) {
      scan.add_problem(name, fd.error().message());
    }
    return std::nullopt;
  }

  /// Everything below, as nobody's.
  void strange(const Fd& dir) {
    TreeMemo memo;
    other += scan.count(dir, memo);
  }

  void extracted(const Fd& dir, const std::string& name) {
    CachedModule& out = module(name);
    out.extracted = true;
    TreeMemo memo;
    if (const auto it = before.find(name); it != before.end()) memo = std::move(it->second);
    const std::uint64_t shared = scan.shared_bytes();
    out.size += scan.count(dir, memo);
    out.shared_bytes += scan.shared_bytes() - shared;
    const auto stat = stat_at(dir.get(), "");
    if (stat && out.used == 0) out.used = stat->changed;
    after.emplace(name, std::move(memo));
  }

  /// Folders above the extracted modules.
  void above(const Fd& dir, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) return strange(dir);
    add_self(dir);
    add_files(dir);
    for (const std::string& name : names_in(dir, scan, true)) {
      if (depth == 0 && name == "cache") continue;
      const auto child = open(dir, name);
      if (!child) continue;
      const std::string path = prefix + name;
      if (name.find('@') != std::string::npos) {
        extracted(*child, path);
      } else {
        above(*child, path + "/", depth + 1);
      }
    }
  }

  void version_file(const Fd& dir, const std::string& module_path, const std::string& file) {
    const auto stat = stat_at(dir.get(), file.c_str());
    if (!stat) return;
    const std::size_t dot = file.rfind('.');
    const std::string_view suffix =
        dot == std::string::npos ? std::string_view() : std::string_view(file).substr(dot + 1);
    if (suffix != "zip" && suffix != "ziphash" && suffix != "partial") {
      scan.add_file(*stat, other);
      return;
    }
    CachedModule& out = module(module_path + "@" + file.substr(0, dot));
    const bool counted = scan.add_file(*stat, out.size);
    if (!counted) out.shared_bytes += stat->bytes;
    if (suffix == "zip" && counted) out.zip_bytes = stat->bytes;
    if (suffix == "partial") out.partial = true;
    // The access time alone: the change time of a ziphash is that of the arming.
    if (suffix == "ziphash") out.used = stat->accessed;
  }

  void download(const Fd& dir, const std::string& prefix, int depth) {
    if (depth > kMaxDepth) return strange(dir);
    add_self(dir);
    add_files(dir);
    for (const std::string& name : names_in(dir, scan, true)) {
      const auto child = open(dir, name);
      if (!child) continue;
      if (depth == 0 && name == "sumdb") {
        strange(*child);
      } else if (name == "@v" && !prefix.empty()) {
        const std::string module_path = prefix.substr(0, prefix.size() - 1);
        add_self(*child);
        for (const std::string& file : names_in(*child, scan, false)) {
          version_file(*child, module_path, file);
        }
      } else {
        download(*child, prefix + name + "/", depth + 1);
      }
    }
  }

  void vcs(const Fd& dir) {
    add_self(dir);
    add_files(dir);
    for (const std::string& name : names_in(dir, scan, true)) {
      const auto child = open(dir, name);
      if (!child) continue;
      extracted(*child, "cache/vcs/" + name);
      modules.find("cache/vcs/" + name)->second.vcs = true;
    }
  }
};

}  // namespace

ModuleCacheScan scan_module_cache(const Fd& dir, TreeScan& scan, ModuleMemos& memos) {
  Scanner scanner{scan, memos, {}, {}, {}};
  // The download folder first: the stamp of a ziphash beats that of the extracted folder.
  if (const auto download = scanner.open(dir, std::string(kDownload))) {
    scanner.download(*download, "", 0);
  }
  scanner.above(dir, "", 0);
  if (const auto cache = scanner.open(dir, "cache")) {
    scanner.add_self(*cache);
    scanner.add_files(*cache);
    for (const std::string& name : names_in(*cache, scan, true)) {
      if (name == "download") continue;
      const auto child = scanner.open(*cache, name);
      if (!child) continue;
      if (name == "vcs") {
        scanner.vcs(*child);
      } else {
        scanner.strange(*child);
      }
    }
  }
  memos = std::move(scanner.after);
  ModuleCacheScan out;
  out.other = scanner.other;
  for (auto& [name, module] : scanner.modules) out.modules.push_back(std::move(module));
  return out;
}

std::string download_stem(std::string_view module) {
  const std::size_t at = module.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == module.size()) return {};
  return std::string(kDownload) + "/" + std::string(module.substr(0, at)) + "/@v/" +
         std::string(module.substr(at + 1));
}

std::int64_t arm_probe(const Fd& dir, std::string_view module) {
  const std::string stem = download_stem(module);
  if (stem.empty()) return 0;
  const auto file =
      open_beneath(dir.get(), stem + ".ziphash", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOATIME);
  if (!file) return 0;
  const auto stat = stat_at(file->get(), "");
  if (!stat || stat->type != EntryType::File) return 0;
  const std::int64_t back = std::min(stat->modified, stat->accessed) / 1'000'000'000 - 1;
  timespec times[2] = {{.tv_sec = back, .tv_nsec = 0}, {.tv_sec = 0, .tv_nsec = UTIME_OMIT}};
  if (::futimens(file->get(), times) != 0) return 0;
  return back * 1'000'000'000;
}

}  // namespace gobuildenv::agent::collector
