#include "agent/caches/take_modules.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "agent/caches/files.hpp"
#include "agent/caches/keep_module.hpp"
#include "agent/caches/module_files.hpp"
#include "agent/caches/module_name.hpp"
#include "agent/caches/module_zip.hpp"
#include "agent/caches/take_round.hpp"
#include "agent/collector/text.hpp"
#include "agent/collector/trash.hpp"

namespace gobuildenv::agent {
namespace {

constexpr std::uint64_t kMaxInfo = std::uint64_t{64} << 10U;
/// golang.org/x/mod/zip: MaxGoMod and MaxZipFile.
constexpr std::uint64_t kMaxMod = std::uint64_t{16} << 20U;
constexpr std::uint64_t kMaxZip = std::uint64_t{500} << 20U;
/// "h1:" and 44 characters; a newline at the end is let pass.
constexpr std::uint64_t kMaxZipHash = 64;

bool is_info_of(const std::string& text, const std::string& version) {
  const auto info = nlohmann::json::parse(text, nullptr, false);
  if (!info.is_object()) return false;
  const auto found = info.find("Version");
  return found != info.end() && found->is_string() && *found == version;
}

class Modules final : public TakeRound<ModuleList> {
 public:
  explicit Modules(const TakeInput& in) : TakeRound(in, "modules") {}

 private:
  std::error_code list(const Fd& cache, ModuleList& out, bool /*hostile*/) override {
    return list_modules(cache, out, in_.limits.entries);
  }

  bool known(const ModuleFiles& had, const ModuleFiles& offered) const override {
    return had.complete() || is_extracted(*in_.base, had) ||
           (!offered.complete() && (had.info || !offered.info));
  }

  /// A file's copy in the folder of the module in the next layer. False: it was refused.
  tl::expected<std::optional<Sha256>, TakeError> copy(const ModuleFiles& module, const Fd& to,
                                                      const std::string& name,
                                                      std::uint64_t limit) {
    const auto file = open_plain(*module.cache, module.folder() + "/" + name, limit);
    if (!file) {
      report_.refuse(fmt::format("{}/{}: {}", module.path, name, file.error().message()));
      return std::optional<Sha256>();
    }
    // As a crash leaves it. A .mod has nothing else that it could be checked against.
    if (file->size == 0) {
      report_.refuse(fmt::format("{}/{} is empty", module.path, name));
      return std::optional<Sha256>();
    }
    const auto sum = copy_plain(*file, to, name, kSharedFile);
    if (sum) {
      report_.bytes += file->size;
      return std::optional<Sha256>(*sum);
    }
    ::unlinkat(to.get(), name.c_str(), 0);
    if (sum.error() != std::errc::device_or_resource_busy) {
      return take_error("copy", name, sum.error());
    }
    report_.refuse(fmt::format("{}/{} was written to", module.path, name));
    return std::optional<Sha256>();
  }

  /// A version never changes: what is shared of it already is right.
  bool contradicts(const std::string& name, const ModuleFiles& module) const {
    if (!module.mod || !old_.contains(name)) return false;
    const std::string file = module.folder() + "/" + module.version + ".mod";
    const auto shared = collector::read_at(in_.base->get(), file, kMaxMod);
    const auto offered = read_plain(*module.cache, file, kMaxMod);
    return !shared || !offered || *shared != *offered;
  }

  Done take(const std::string& name, const ModuleFiles& module) override {
    if (report_.bytes >= in_.limits.bytes) {
      report_.refuse(fmt::format("{} has no room", name));
      return {};
    }
    const auto versions = make_below(in_.next, module.folder(), kSharedFolder);
    if (!versions) return take_error("make", module.folder(), versions.error());
    if (contradicts(name, module)) {
      report_.refuse(fmt::format("{}: its .mod is not the one that is shared", name));
      return {};
    }
    const auto mod = module.mod ? copy(module, *versions, module.version + ".mod", kMaxMod)
                                : take_shared(module, *versions, ".mod", kMaxMod);
    if (!mod) return tl::unexpected(mod.error());
    if (!*mod) {
      if (!module.mod) report_.refuse(fmt::format("{} has no .mod, here or in the layer", name));
      return {};
    }
    if (auto info = take_info(module, *versions); !info) return info;
    if (module.complete()) {
      const auto whole = take_zip(name, module, *versions, **mod);
      if (!whole) return tl::unexpected(whole.error());
      if (!*whole) {
        // What is wrong with one file of it says nothing good of the others.
        for (const char* suffix : {".mod", ".info"}) {
          ::unlinkat(versions->get(), (module.version + suffix).c_str(), 0);
        }
        return {};
      }
    }
    took(name);
    return {};
  }

  /// What the layer below has of a module: a pod over it that fetches the rest writes it no more.
  /// Nothing: it has none.
  tl::expected<std::optional<Sha256>, TakeError> take_shared(const ModuleFiles& module,
                                                             const Fd& to,
                                                             const std::string& suffix,
                                                             std::uint64_t limit) {
    const std::string name = module.version + suffix;
    if (in_.base == nullptr) return std::optional<Sha256>();
    const auto text = collector::read_at(in_.base->get(), module.folder() + "/" + name, limit);
    if (!text) {
      if (text.error() == std::errc::no_such_file_or_directory) return std::optional<Sha256>();
      return take_error("read", name, text.error());
    }
    if (const auto error = write_new(to, name, *text, kSharedFile)) {
      return take_error("write", name, error);
    }
    report_.bytes += text->size();
    Sha256Stream sha;
    sha.add(text->data(), text->size());
    return std::optional<Sha256>(sha.finish());
  }

  Done take_info(const ModuleFiles& module, const Fd& to) {
    const std::string name = module.version + ".info";
    if (module.info) {
      const auto text = read_plain(*module.cache, module.folder() + "/" + name, kMaxInfo);
      if (text && is_info_of(*text, *unescape_version(module.version))) {
        if (const auto error = write_new(to, name, *text, kSharedFile)) {
          return take_error("write", name, error);
        }
        return {};
      }
      report_.refuse(fmt::format("{}/{} says nothing of its version", module.path, name));
    }
    const auto shared = take_shared(module, to, ".info", kMaxInfo);
    if (!shared) return tl::unexpected(shared.error());
    return {};
  }

  /// Copies and extracts; false: refused, and nothing of it is there.
  tl::expected<bool, TakeError> take_zip(const std::string& name, const ModuleFiles& module,
                                         const Fd& to, const Sha256& mod) {
    const std::string zip = module.version + ".zip";
    const auto claimed =
        read_plain(*module.cache, module.folder() + "/" + module.version + ".ziphash", kMaxZipHash);
    if (!claimed) {
      report_.refuse(fmt::format("{}: its ziphash: {}", name, claimed.error().message()));
      return false;
    }
    const auto copied = copy(module, to, zip, kMaxZip);
    if (!copied) return tl::unexpected(copied.error());
    if (!*copied) return false;
    auto done = extract(name, module, to, zip, *claimed, mod);
    if (done && *done) return done;
    ::unlinkat(to.get(), zip.c_str(), 0);
    return done;
  }

  tl::expected<bool, TakeError> extract(const std::string& name, const ModuleFiles& module,
                                        const Fd& to, const std::string& zip,
                                        const std::string& claimed, const Sha256& mod) {
    // The copy is read, which no pod can reach.
    const auto archive = collector::open_beneath(to.get(), zip, O_RDONLY | O_NOFOLLOW);
    if (!archive) return take_error("open", zip, archive.error());
    const std::string work = collector::random_name();
    const auto folder = make_below(in_.scratch, work, 0700);
    if (!folder) return take_error("make", work, folder.error());
    const std::string prefix =
        *unescape_module_path(module.path) + "@" + *unescape_version(module.version) + "/";
    const auto made = extract_module(archive->get(), prefix, *folder, in_.stopped);
    std::string problem;
    if (!made) {
      if (made.error().disk) return take_error("extract", name, made.error().disk);
      problem = made.error().message;
    } else if (made->h1 != claimed.substr(0, claimed.find('\n'))) {
      problem = "its zip is not what its ziphash says";
    } else if (made->go_mod && *made->go_mod != mod) {
      problem = "its .mod is not the go.mod in its zip";
    }
    if (!problem.empty()) {
      report_.refuse(fmt::format("{}: {}", name, collector::printable(problem)));
      return false;
    }
    const std::string ziphash = module.version + ".ziphash";
    if (const auto error = write_new(to, ziphash, made->h1, kSharedFile)) {
      return take_error("write", ziphash, error);
    }
    const auto [parent, last] = split_module(name);
    const auto place = make_below(in_.next, parent, kSharedFolder);
    if (!place) return take_error("make", parent, place.error());
    if (::renameat(in_.scratch.get(), work.c_str(), place->get(), last.c_str()) != 0) {
      return take_error("place", name, collector::last_error());
    }
    report_.bytes += made->bytes;
    return true;
  }

  Done keep(const std::string& name, const ModuleFiles& module) override {
    if (report_.bytes < in_.limits.bytes) return keep_module(in_, name, module, report_);
    ++report_.dropped;
    return {};
  }
};

}  // namespace

tl::expected<TakeReport, TakeError> take_modules(const TakeInput& in) { return Modules(in).run(); }

}  // namespace gobuildenv::agent
