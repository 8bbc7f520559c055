#include "agent/collector/root_scan.hpp"

#include <sys/statvfs.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "agent/collector/text.hpp"

namespace gobuildenv::agent::collector {

namespace {

constexpr std::size_t kMaxRecord = std::size_t{256} << 10U;

std::vector<std::string> folders_in(const Fd& dir, TreeScan& scan) {
  std::vector<std::string> out;
  const std::error_code error = for_each_entry(dir.get(), scan.buffer(), [&](const Entry& entry) {
    if (entry.type == EntryType::Folder || entry.type == EntryType::Unknown) {
      out.emplace_back(entry.name);
    }
  });
  if (error) scan.add_problem(".", error.message());
  std::sort(out.begin(), out.end());
  return out;
}

/// Generations are numbers that grow; the longer one is the larger.
bool older_generation(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

class RootScanner {
 public:
  RootScanner(const std::vector<Root>& roots, AgeBook& ages, RootMemo& memo, std::int64_t wall_ns,
              const ScanOptions& options)
      : ages_(ages), memo_(memo), options_(options), scan_(wall_ns) {
    std::copy_if(roots.begin(), roots.end(), std::back_inserter(uses_),
                 [](const Root& root) { return root.in_use; });
  }

  Inventory run(const Fd& root) {
    below(root, "toolchains", [&](const Fd& store) {
      each(store, "toolchains", [&](const Fd& version, const std::string& path) {
        each(version, path, [&](const Fd& toolchain, const std::string& unit_path) {
          whole(toolchain, UnitKind::Toolchain, unit_path, "");
        });
      });
    });
    below(root, "caches", [&](const Fd& caches) {
      each(caches, "caches", [&](const Fd& owner, const std::string& owner_path) {
        each(owner, owner_path, [&](const Fd& environment, const std::string& path) {
          environment_caches(environment, path);
        });
      });
    });
    below(root, "pods", [&](const Fd& pods) {
      each(pods, "pods", [&](const Fd& pod, const std::string& path) {
        whole(pod, UnitKind::Private, path, "");
      });
    });
    below(root, "promotions", [&](const Fd& promotions) {
      each(promotions, "promotions", [&](const Fd& waiting, const std::string& path) {
        whole(waiting, UnitKind::Promotion, path, "");
      });
    });
    below(root, "trash", [&](const Fd& trash) {
      const std::error_code error = for_each_entry(trash.get(), scan_.buffer(),
                                                   [&](const Entry&) { inventory_.trashed += 1; });
      if (error) scan_.add_problem("trash", error.message());
      if (inventory_.trashed > 0) inventory_.trash = counted(trash, "trash");
    });
    inventory_.problems = scan_.problems();
    forget_the_gone();
    return std::move(inventory_);
  }

 private:
  void below(const Fd& dir, const std::string& name, const std::function<void(const Fd&)>& visit) {
    auto fd = open_folder(dir.get(), name);
    if (fd) return visit(*fd);
    if (fd.error() != std::errc::no_such_file_or_directory &&
        fd.error() != std::errc::not_a_directory) {
      scan_.add_problem(name, fd.error().message());
    }
  }

  void each(const Fd& dir, const std::string& path,
            const std::function<void(const Fd&, const std::string&)>& visit) {
    for (const std::string& name : folders_in(dir, scan_)) {
      below(dir, name, [&](const Fd& child) { visit(child, path + "/" + name); });
    }
  }

  Totals counted(const Fd& dir, const std::string& path) {
    seen_trees_.insert(path);
    return scan_.count(dir, memo_.trees[path]);
  }

  static std::string orphaned_key(const std::string& path) { return printable(path) + "#orphaned"; }

  /// `arm`: sets the probe for the next use, and gives the stamp that is then there.
  void add(Unit unit, std::int64_t stamp, const std::function<std::int64_t()>& arm = {}) {
    // Nobody's only since it was seen so, however old it is: a GoBuildEnv may have been replaced.
    const std::string key = unit.orphaned ? orphaned_key(unit.path) : printable(unit.path);
    const auto known = ages_.ages().find(key);
    const bool new_use = known == ages_.ages().end() || known->second.stamp != stamp;
    const Observation seen{.in_use = root_of(unit, uses_) != nullptr,
                           .stamp = stamp,
                           .value = refetch_value(unit.kind, unit.size)};
    unit.credit = ages_.observe(key, seen).credit;
    unit.idle = ages_.idle(key);
    if (new_use && arm) {
      if (const std::int64_t armed = arm(); armed != 0) ages_.remember_stamp(key, armed);
    }
    seen_ages_.insert(key);
    inventory_.units.push_back(std::move(unit));
  }

  void whole(const Fd& dir, UnitKind kind, const std::string& path, const std::string& environment,
             bool orphaned = false) {
    Unit unit;
    unit.orphaned = orphaned;
    unit.kind = kind;
    unit.path = path;
    unit.environment = environment;
    unit.size = counted(dir, path);
    if (!environment.empty()) inventory_.environments[environment] += unit.size;
    if (orphaned) unit.cache_idle = layer_idle(path, environment);
    add(std::move(unit), 0);
  }

  /// caches/<namespace uid>/<environment>
  void environment_caches(const Fd& dir, const std::string& path) {
    const std::string environment = path.substr(std::string_view("caches/").size());
    inventory_.environments.try_emplace(environment);
    for (const std::string kind : {"mod", "build"}) {
      below(dir, kind, [&](const Fd& cache) {
        below(cache, "lower", [&](const Fd& lower) {
          generations(lower, path + "/" + kind + "/lower", environment, kind == "mod");
        });
      });
    }
  }

  void generations(const Fd& lower, const std::string& path, const std::string& environment,
                   bool modules) {
    std::vector<std::string> names = folders_in(lower, scan_);
    std::sort(names.begin(), names.end(), older_generation);
    for (const std::string& name : names) {
      const std::string below_root = path + "/" + name;
      below(lower, name, [&](const Fd& generation) {
        const bool newest = name == names.back();
        const std::optional<bool> nobodys = newest ? options_.orphaned(environment) : false;
        const bool orphaned = nobodys.value_or(false);
        if (!nobodys) seen_ages_.insert(orphaned_key(below_root));
        if (!newest || orphaned) {
          whole(generation, UnitKind::Generation, below_root, environment, orphaned);
        } else if (modules) {
          module_units(generation, below_root, environment);
        } else {
          build_units(generation, below_root, environment);
        }
      });
    }
  }

  /// The age of a newest layer as a whole, which is no unit.
  seconds layer_idle(const std::string& path, const std::string& environment) {
    const std::string key = printable(path);
    Unit layer;
    layer.path = path;
    ages_.observe(key, {.in_use = root_of(layer, uses_) != nullptr, .stamp = 0, .value = 0});
    seen_ages_.insert(key);
    const seconds idle = ages_.idle(key);
    const auto [youngest, first] = inventory_.cache_idle.try_emplace(environment, idle);
    if (!first) youngest->second = std::min(youngest->second, idle);
    return idle;
  }

  void module_units(const Fd& dir, const std::string& path, const std::string& environment) {
    const seconds cache_idle = layer_idle(path, environment);
    seen_modules_.insert(path);
    const ModuleCacheScan found = scan_module_cache(dir, scan_, memo_.modules[path]);
    Totals& total = inventory_.environments[environment];
    total += found.other;
    inventory_.other += found.other;
    for (const CachedModule& module : found.modules) {
      Unit unit;
      unit.kind = module.vcs ? UnitKind::Vcs : UnitKind::Module;
      unit.path = path + "/" + module.name;
      unit.environment = environment;
      unit.size = module.size;
      unit.zip_bytes = module.extracted && !module.partial ? module.zip_bytes : 0;
      unit.shared_bytes = module.shared_bytes;
      unit.incomplete = module.partial;
      unit.cache_idle = cache_idle;
      total += module.size;
      const bool probe = options_.touch && !module.vcs && !module.partial;
      add(std::move(unit), module.used,
          probe ? std::function<std::int64_t()>([&] { return arm_probe(dir, module.name); })
                : nullptr);
    }
  }

  void build_units(const Fd& dir, const std::string& path, const std::string& environment) {
    const seconds cache_idle = layer_idle(path, environment);
    seen_builds_.insert(path);
    auto& memo = memo_.builds[path];
    if (!memo) memo = std::make_unique<BuildMemo>();
    const BuildCacheScan found = scan_build_cache(
        dir, scan_, *memo, options_.depth,
        [this](std::int64_t stamp) { return ages_.idle_of_stamp(stamp); }, options_.touch);
    inventory_.repaired_stamps += found.repaired_stamps;
    inventory_.other += found.other;
    Totals& total = inventory_.environments[environment];
    total += found.other;
    total += found.entries;
    for (const auto& [hours, size] : found.cohorts) {
      Unit unit;
      unit.kind = UnitKind::Builds;
      unit.path = path;
      unit.environment = environment;
      unit.size = size;
      unit.shared_bytes = found.shared.at(hours);
      unit.idle = std::chrono::hours(hours);
      unit.cache_idle = cache_idle;
      // No entry has an age of its own; what is unused for longer must come first.
      unit.credit =
          ages_.inflation + refetch_value(unit.kind, size) / static_cast<double>(1 + hours);
      inventory_.units.push_back(std::move(unit));
    }
  }

  void forget_the_gone() {
    if (inventory_.problems.count > 0) return;  // what could not be read is not gone
    ages_.retain([this](const std::string& key) { return seen_ages_.contains(key); });
    std::erase_if(memo_.trees, [this](const auto& i) { return !seen_trees_.contains(i.first); });
    std::erase_if(memo_.modules,
                  [this](const auto& i) { return !seen_modules_.contains(i.first); });
    std::erase_if(memo_.builds, [this](const auto& i) { return !seen_builds_.contains(i.first); });
  }

  std::vector<Root> uses_;
  AgeBook& ages_;
  RootMemo& memo_;
  ScanOptions options_;
  TreeScan scan_;
  Inventory inventory_;
  std::set<std::string, std::less<>> seen_ages_;
  std::set<std::string, std::less<>> seen_trees_;
  std::set<std::string, std::less<>> seen_modules_;
  std::set<std::string, std::less<>> seen_builds_;
};

/// What a record protects, and why: "volume csi-1 of pod ci/build-7".
std::vector<Root> roots_of_record(const std::string& id, const std::string& text) {
  const auto everything = [&](const std::string& problem) {
    return std::vector<Root>{
        {"", "the record of volume " + id + " " + problem + ", so everything may be in use"}};
  };
  try {
    const auto record = nlohmann::json::parse(text);
    const std::string source = record.at("source").get<std::string>();
    if (source.empty() || source.front() == '/') return everything("names no source");
    std::string why = "volume " + id;
    if (record.contains("pod") && record["pod"].is_object()) {
      const auto& pod = record["pod"];
      why += " of pod " + pod.value("namespace", "?") + "/" + pod.value("name", "?");
    }
    std::vector<Root> out{{source, why}};
    // A shared cache's layer, which is mounted below the source.
    if (record.contains("lower")) out.push_back({record["lower"].get<std::string>(), why});
    // Further toolchains, mounted inside this one.
    for (const auto& newer : record.value("newer", nlohmann::json::array())) {
      out.push_back({newer.get<std::string>(), why});
    }
    return out;
  } catch (const nlohmann::json::exception&) {
    return everything("cannot be read");
  }
}

}  // namespace

Inventory scan_root(const Fd& root, const std::vector<Root>& roots, AgeBook& ages, RootMemo& memo,
                    std::int64_t wall_ns, const ScanOptions& options) {
  return RootScanner(roots, ages, memo, wall_ns, options).run(root);
}

std::vector<Root> roots_of_volumes(const Fd& root) {
  const auto volumes = open_folder(root.get(), "volumes");
  if (!volumes) {
    if (volumes.error() == std::errc::no_such_file_or_directory) return {};
    return {{"", "volumes/ cannot be read, so everything may be in use"}};
  }
  std::vector<std::string> names;
  std::vector<char> buffer;
  const std::error_code error = for_each_entry(volumes->get(), buffer, [&](const Entry& entry) {
    if (entry.name.ends_with(".json")) names.emplace_back(entry.name);
  });
  if (error) return {{"", "volumes/ cannot be read, so everything may be in use"}};
  std::sort(names.begin(), names.end());
  std::vector<Root> out;
  for (const std::string& name : names) {
    const std::string id = name.substr(0, name.size() - std::string_view(".json").size());
    const auto text = read_at(volumes->get(), name, kMaxRecord);
    if (!text && text.error() == std::errc::no_such_file_or_directory) continue;
    for (Root& held : roots_of_record(id, text.value_or(""))) out.push_back(std::move(held));
  }
  return out;
}

IoResult<Disk> disk_of(const Fd& root) {
  struct statvfs raw {};
  if (::fstatvfs(root.get(), &raw) != 0) return tl::unexpected(last_error());
  Disk out;
  const std::uint64_t used = (raw.f_blocks - raw.f_bfree) * raw.f_frsize;
  out.bytes_free = std::uint64_t{raw.f_bavail} * raw.f_frsize;
  out.bytes = used + out.bytes_free;  // without what is reserved for root, as df and the kubelet
  const std::uint64_t inodes_used = raw.f_files - raw.f_ffree;
  out.inodes_free = raw.f_favail;
  out.inodes = raw.f_files == 0 ? 0 : inodes_used + out.inodes_free;
  return out;
}

}  // namespace gobuildenv::agent::collector
