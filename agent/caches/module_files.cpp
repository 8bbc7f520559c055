#include "agent/caches/module_files.hpp"

#include <fmt/format.h>

#include "agent/caches/module_name.hpp"

namespace gobuildenv::agent {
namespace {

constexpr int kMaxDepth = 32;
/// A module's files in cache/download, and as many that are none.
constexpr std::size_t kNamesOfModule = 10;

class Lister {
 public:
  Lister(const Fd& cache, ModuleList& out, std::size_t limit)
      : cache_(cache), out_(out), limit_(limit) {}

  std::error_code run() {
    const auto top = collector::open_folder(cache_.get(), "cache/download");
    if (top) return walk(*top, "", 0);
    const auto& error = top.error();
    return error == std::errc::no_such_file_or_directory ? std::error_code() : error;
  }

 private:
  std::error_code walk(const Fd& folder, const std::string& path, int depth) {
    const auto names = names_in(folder, true, kNamesOfModule * limit_);
    if (!names) return names.error();
    for (const std::string& name : *names) {
      const bool versions = name == "@v" && depth > 0;
      if (!versions && (depth == kMaxDepth || !is_path_element(name))) continue;
      if (depth == 0 && name == "sumdb") continue;
      // Gone or replaced while it was looked at: not a module.
      const auto child = collector::open_folder(folder.get(), name);
      if (!child) continue;
      std::error_code error;
      if (versions) {
        if (unescape_module_path(path)) error = add_versions(*child, path);
      } else {
        error = walk(*child, path.empty() ? name : path + "/" + name, depth + 1);
      }
      if (error) return error;
    }
    return {};
  }

  std::error_code add_versions(const Fd& folder, const std::string& path) {
    const auto names = names_in(folder, false, kNamesOfModule * limit_);
    if (!names) return names.error();
    ModuleList found;
    for (const std::string& name : *names) {
      const auto dot = name.rfind('.');
      if (dot == std::string::npos) continue;
      const std::string version = name.substr(0, dot);
      const std::string suffix = name.substr(dot + 1);
      if (!unescape_version(version)) continue;
      ModuleFiles& module = found[path + "@" + version];
      if (suffix == "info") module.info = true;
      if (suffix == "mod") module.mod = true;
      if (suffix == "zip") module.zip = true;
      if (suffix == "ziphash") module.ziphash = true;
      if (module.path.empty()) {
        module.path = path;
        module.version = version;
        module.cache = &cache_;
      }
      if (suffix != "mod") continue;
      if (const auto stat = collector::stat_at(folder.get(), name.c_str())) {
        module.modified = stat->modified;
      }
    }
    for (auto& [name, module] : found) {
      // Go cannot use it, nor begin with it. Over a layer that has the .mod it writes no other.
      if (!module.mod && !module.complete()) continue;
      const auto there = out_.find(name);
      if (there == out_.end()) {
        if (out_.size() >= limit_) return std::make_error_code(std::errc::value_too_large);
        out_.emplace(name, std::move(module));
      } else if (!there->second.complete() && module.complete()) {
        there->second = std::move(module);
      }
    }
    return {};
  }

  const Fd& cache_;
  ModuleList& out_;
  const std::size_t limit_;
};

}  // namespace

std::error_code list_modules(const Fd& cache, ModuleList& out, std::size_t limit) {
  return Lister(cache, out, limit).run();
}

}  // namespace gobuildenv::agent
