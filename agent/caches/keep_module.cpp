#include "agent/caches/keep_module.hpp"

#include <stdio.h>  // NOLINT(modernize-deprecated-headers): renameat() is POSIX's

#include "agent/caches/files.hpp"
#include "agent/collector/trash.hpp"

namespace gobuildenv::agent {
namespace {

using Done = tl::expected<void, TakeError>;

Done keep_extracted(const TakeInput& in, const std::string& name, TakeReport& report) {
  const auto [parent, last] = split_module(name);
  const auto source = collector::open_folder(in.base->get(), parent.empty() ? "." : parent);
  if (!source) return take_error("open", name, source.error());
  const auto target = make_below(in.next, parent, kSharedFolder);
  if (!target) return take_error("make", parent, target.error());
  const std::string work = collector::random_name();
  const auto scratch = make_below(in.scratch, work, 0700);
  if (!scratch) return take_error("make", work, scratch.error());
  std::uint64_t bytes = 0;
  const auto error = link_tree(*source, *scratch, last, bytes);
  step(in.hook, "tree");
  // While its folder is in its place nothing was taken from it: what is linked is all of it.
  if (!collector::exists_at(source->get(), last)) return {};
  if (error) return take_error("link", name, error);
  if (::renameat(scratch->get(), last.c_str(), target->get(), last.c_str()) != 0) {
    return take_error("place", name, collector::last_error());
  }
  report.bytes += bytes;
  return {};
}

}  // namespace

std::pair<std::string, std::string> split_module(const std::string& name) {
  const auto slash = name.rfind('/');
  if (slash == std::string::npos) return {{}, name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

bool is_extracted(const Fd& base, const ModuleFiles& module) {
  return module.ziphash && collector::exists_at(base.get(), module.extracted()) &&
         !collector::exists_at(base.get(), module.folder() + "/" + module.version + ".partial");
}

Done keep_module(const TakeInput& in, const std::string& name, const ModuleFiles& module,
                 TakeReport& report) {
  const auto from = collector::open_folder(in.base->get(), module.folder());
  const auto to = make_below(in.next, module.folder(), kSharedFolder);
  if (!from || !to) return take_error("open", name, from ? to.error() : from.error());
  for (const auto& [there, suffix] : {std::pair{module.mod, ".mod"},
                                      {module.info, ".info"},
                                      {module.zip, ".zip"},
                                      {module.ziphash, ".ziphash"}}) {
    if (!there) continue;
    const auto error = link_file(*from, *to, module.version + suffix);
    if (error == std::errc::no_such_file_or_directory) continue;
    if (error) return take_error("link", name + suffix, error);
    if (const auto stat = collector::stat_at(to->get(), (module.version + suffix).c_str())) {
      report.bytes += stat->bytes;
    }
  }
  ++report.kept;
  // The folder last, as it is the first that the collector takes: go would extract again, and could
  // not, where it found the folder without its ziphash.
  if (!is_extracted(*in.base, module)) return {};
  return keep_extracted(in, name, report);
}

}  // namespace gobuildenv::agent
