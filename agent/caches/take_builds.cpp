#include "agent/caches/take_builds.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>

#include "agent/caches/build_entry.hpp"
#include "agent/caches/files.hpp"
#include "agent/caches/take_round.hpp"
#include "agent/collector/text.hpp"

namespace gobuildenv::agent {
namespace {

constexpr std::size_t kShards = 256;
/// An action, its output, and whatever else a shard may have.
constexpr std::size_t kNamesOfEntry = 3;
/// Of one output: a test binary with debug information is some tens of MB.
constexpr std::uint64_t kMaxOutput = std::uint64_t{2} << 30U;

std::string shard_of(const Sha256& sum) { return fmt::format("{:02x}", sum.front()); }

struct Found {
  BuildEntry entry;
  std::int64_t modified = 0;
  const Fd* cache = nullptr;
};

using Entries = std::map<Sha256, Found>;

class Builds final : public TakeRound<Entries> {
 public:
  explicit Builds(const TakeInput& in) : TakeRound(in, "build outputs") {}

 private:
  Done prepare() override {
    for (std::size_t i = 0; i < kShards; ++i) {
      auto shard = make_below(in_.next, fmt::format("{:02x}", i), kSharedFolder);
      if (!shard) return take_error("make", fmt::format("{:02x}", i), shard.error());
      shards_[i] = std::move(*shard);
    }
    return {};
  }

  std::error_code list(const Fd& cache, Entries& out, bool hostile) override {
    for (std::size_t i = 0; i < kShards; ++i) {
      const std::string name = fmt::format("{:02x}", i);
      const auto shard = collector::open_folder(cache.get(), name);
      if (!shard) {
        if (shard.error() == std::errc::no_such_file_or_directory || hostile) continue;
        return shard.error();
      }
      const auto names = names_in(*shard, false, kNamesOfEntry * in_.limits.entries);
      if (!names) return names.error();
      for (const std::string& file : *names) {
        const auto action = action_of_name(file);
        if (!action || action->front() != i) continue;
        if (out.size() >= in_.limits.entries) {
          return std::make_error_code(std::errc::value_too_large);
        }
        read_entry(*shard, name + "/" + file, file, *action, cache, out, hostile);
      }
    }
    return {};
  }

  void read_entry(const Fd& shard, const std::string& path, const std::string& file,
                  const Sha256& action, const Fd& cache, Entries& out, bool hostile) {
    // A layer's files have a name in each layer they are part of.
    const auto text = hostile ? read_plain(shard, file, kBuildEntrySize)
                              : collector::read_at(shard.get(), file, kBuildEntrySize);
    const auto entry = text ? parse_build_entry(*text) : std::nullopt;
    if (!entry || entry->action != action || entry->size > kMaxOutput) {
      report_.refuse(fmt::format("{} is no build entry", collector::printable(path)));
      return;
    }
    Found found{*entry, 0, &cache};
    if (!hostile) {
      const auto stat = collector::stat_at(shard.get(), file.c_str());
      if (stat) found.modified = stat->modified;
    }
    out.insert_or_assign(action, found);
  }

  bool known(const Found& had, const Found& offered) const override {
    return had.entry.output == offered.entry.output && had.entry.size == offered.entry.size;
  }

  /// Copies an output and writes its entry.
  Done take(const Sha256& action, const Found& found) override {
    const BuildEntry& entry = found.entry;
    const std::string output = hex(entry.output) + "-d";
    const std::string path = shard_of(entry.output) + "/" + output;
    if (!has_room(entry)) {
      report_.refuse(fmt::format("{} has no room", path));
      return {};
    }
    const auto here = outputs_.find(entry.output);
    if (here == outputs_.end()) {
      const auto had = link_output(entry, output);
      if (!had) return tl::unexpected(had.error());
      if (!*had) {
        const auto copied = copy_output(*found.cache, path, output, entry);
        if (!copied) return tl::unexpected(copied.error());
        if (!*copied) return {};
      }
      add_output(entry);
    } else if (here->second != entry.size) {
      report_.refuse(fmt::format("{} has another size than its entry says", path));
      return {};
    }
    const std::string name = hex(entry.action) + "-a";
    if (const auto error = write_new(shard(entry.action), name, to_line(entry), kSharedFile)) {
      return take_error("write", name, error);
    }
    report_.bytes += on_disk(kBuildEntrySize);
    took(action);
    return {};
  }

  /// The output from the base; false: the base has none of that size. With another one than its
  /// entry says, go takes it for incomplete.
  tl::expected<bool, TakeError> link_output(const BuildEntry& entry, const std::string& name) {
    if (in_.base == nullptr) return false;
    const auto from = collector::open_folder(in_.base->get(), shard_of(entry.output));
    if (!from) return false;
    struct stat found {};
    if (::fstatat(from->get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) return false;
      return take_error("look at", name, collector::last_error());
    }
    if (static_cast<std::uint64_t>(found.st_size) != entry.size) return false;
    const auto error = link_file(*from, shard(entry.output), name);
    if (!error) return true;
    if (error == std::errc::no_such_file_or_directory) return false;
    return take_error("link", name, error);
  }

  /// False: it is not what its name says.
  tl::expected<bool, TakeError> copy_output(const Fd& cache, const std::string& path,
                                            const std::string& name, const BuildEntry& entry) {
    const auto file = open_plain(cache, path, kMaxOutput);
    if (!file || file->size != entry.size) {
      report_.refuse(fmt::format("{} is missing, or no file of its size", path));
      return false;
    }
    const auto sum = copy_plain(*file, shard(entry.output), name, kSharedFile);
    if (sum && *sum == entry.output) return true;
    ::unlinkat(shard(entry.output).get(), name.c_str(), 0);
    if (!sum && sum.error() != std::errc::device_or_resource_busy) {
      return take_error("copy", path, sum.error());
    }
    report_.refuse(fmt::format("{} has another content than its name says", path));
    return false;
  }

  Done keep(const Sha256& action, const Found& found) override {
    const BuildEntry& entry = found.entry;
    if (!has_room(entry)) {
      ++report_.dropped;
      return {};
    }
    const auto here = outputs_.find(entry.output);
    if (here == outputs_.end()) {
      const auto had = link_output(entry, hex(entry.output) + "-d");
      if (!had) return tl::unexpected(had.error());
      if (!*had) return {};
      add_output(entry);
    } else if (here->second != entry.size) {
      return {};
    }
    const std::string name = hex(action) + "-a";
    const auto from = collector::open_folder(in_.base->get(), shard_of(action));
    if (!from) return take_error("open", shard_of(action), from.error());
    const auto error = link_file(*from, shard(action), name);
    if (error == std::errc::no_such_file_or_directory) return {};  // collected meanwhile
    if (error) return take_error("link", name, error);
    report_.bytes += on_disk(kBuildEntrySize);
    ++report_.kept;
    return {};
  }

  void add_output(const BuildEntry& entry) {
    outputs_.emplace(entry.output, entry.size);
    report_.bytes += on_disk(entry.size);
  }

  bool has_room(const BuildEntry& entry) const {
    const std::uint64_t output = outputs_.contains(entry.output) ? 0 : on_disk(entry.size);
    return report_.bytes + output + on_disk(kBuildEntrySize) <= in_.limits.bytes;
  }

  const Fd& shard(const Sha256& sum) const { return shards_[sum.front()]; }

  std::map<Sha256, std::uint64_t> outputs_;  ///< of the next layer, with their sizes
  std::array<Fd, kShards> shards_;
};

}  // namespace

tl::expected<TakeReport, TakeError> take_builds(const TakeInput& in) { return Builds(in).run(); }

}  // namespace gobuildenv::agent
