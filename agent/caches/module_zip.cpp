#include "agent/caches/module_zip.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <vector>

#include "agent/caches/files.hpp"
#include "agent/caches/take.hpp"
#include "agent/toolchains/inflate.hpp"
#include "agent/toolchains/zip_directory.hpp"
#include "agent/write_all.hpp"

namespace gobuildenv::agent {
namespace {

tl::unexpected<ZipError> disk(std::error_code code) { return tl::unexpected(ZipError{{}, code}); }
tl::unexpected<ZipError> wrong(std::string message) {
  return tl::unexpected(ZipError{std::move(message), {}});
}

/// In the order in which they can be closed: what is below comes first.
using Folders = std::set<std::string, std::greater<>>;

std::error_code make_parents(const Fd& top, const std::string& path, Folders& made) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {};
  const std::string parent = path.substr(0, slash);
  if (made.contains(parent)) return {};
  if (const auto error = make_parents(top, parent, made)) return error;
  made.insert(parent);
  if (::mkdirat(top.get(), parent.c_str(), 0700) != 0) return collector::last_error();
  return {};
}

}  // namespace

tl::expected<ZippedModule, ZipError> extract_module(int zip, const std::string& prefix,
                                                    const collector::Fd& folder,
                                                    const std::function<bool()>& stopped) {
  const auto entries = read_zip_directory(zip);
  if (!entries) return wrong(entries.error());
  ZippedModule out;
  std::vector<FileSum> sums;
  Folders folders;
  Inflater inflater(zip);
  Sha256Stream sha;
  for (const ZipEntry& entry : *entries) {
    if (stopped && stopped()) return disk(std::make_error_code(std::errc::operation_canceled));
    if (!entry.name.starts_with(prefix) || entry.name.size() == prefix.size()) {
      return wrong(fmt::format("its entry \"{}\" is not below {}", entry.name, prefix));
    }
    const std::string path = entry.name.substr(prefix.size());
    if (entry.folder()) {
      sums.push_back({entry.name, sha.finish()});
      continue;
    }
    if (const auto error = make_parents(folder, path, folders)) return disk(error);
    const auto file = create_new(folder, path, kModuleFile);
    if (!file) return disk(file.error());
    std::error_code failed;
    const std::string problem = inflater.read(entry, [&](std::string_view part) {
      sha.add(part.data(), part.size());
      failed = write_all(file->get(), part);
      return !failed;
    });
    if (failed) return disk(failed);
    if (!problem.empty()) return wrong(problem);
    const Sha256 sum = sha.finish();
    if (path == "go.mod") out.go_mod = sum;
    out.bytes += on_disk(entry.size);
    sums.push_back({entry.name, sum});
  }
  for (const std::string& path : folders) {
    if (::fchmodat(folder.get(), path.c_str(), kModuleFolder, 0) != 0) {
      return disk(collector::last_error());
    }
  }
  if (::fchmod(folder.get(), kModuleFolder) != 0) return disk(collector::last_error());
  out.h1 = h1_of(std::move(sums));
  return out;
}

}  // namespace gobuildenv::agent
