#include "agent/collector/remove_builds.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <optional>
#include <unordered_set>
#include <vector>

#include "agent/collector/text.hpp"

namespace gobuildenv::agent::collector {

namespace {

// "v1 <action id> <output id> <size> <time>\n", cmd/go/internal/cache: entrySize.
constexpr std::size_t kIdSize = 64;
constexpr std::size_t kOutputAt = 3 + kIdSize + 1;
constexpr std::size_t kMaxAction = 1024;

/// The first 16 digits of an id; ids are SHA-256, so they tell entries apart.
std::optional<std::uint64_t> short_id(std::string_view hex) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + 16, value, 16);
  if (error != std::errc() || end != hex.data() + 16) return std::nullopt;
  return value;
}

/// Whether a folder stamped `modified` may change once more and keep that stamp: kernels before
/// 6.13 stamp by the tick of their clock, at most 10 ms long.
bool may_repeat(std::int64_t modified) {
  constexpr std::int64_t kTicks = 20'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::int64_t age = now.tv_sec * 1'000'000'000 + now.tv_nsec - modified;
  return age < kTicks && age > -kTicks;
}

class Remover {
 public:
  Remover(const Fd& cache, seconds older_than, const Trash& trash, const IdleOf& idle_of,
          const InUseNow& in_use, const StepHook& hook)
      : cache_(cache),
        older_than_(older_than),
        trash_(trash),
        idle_of_(idle_of),
        in_use_(in_use),
        hook_(hook),
        scan_(0) {}

  BuildRemoval run() {
    // What stays says which outputs must stay. Before anything goes: a crash must find no action
    // without its output.
    for (std::size_t i = 0; i < kShards; ++i) read_actions(i);
    if (!readable_) return std::move(out_);
    for (std::size_t i = 0; i < kShards && !stop(); ++i) remove_actions(i);
    step(hook_, "build-actions-done");
    for (std::size_t i = 0; i < kShards && !stop(); ++i) remove_outputs(i);
    return std::move(out_);
  }

 private:
  static constexpr std::size_t kShards = 256;

  bool stop() {
    if (!out_.in_use && in_use_()) out_.in_use = true;
    return out_.in_use || !readable_;
  }

  void fail(const std::string& path, const std::error_code& error) {
    if (out_.failed++ == 0) out_.error = printable(path) + ": " + error.message();
  }

  std::optional<Fd> open_shard(std::size_t number) {
    auto fd = open_folder(cache_.get(), shard_name(number));
    if (fd) return std::move(*fd);
    if (fd.error() != std::errc::no_such_file_or_directory) {
      fail(shard_name(number), fd.error());
      readable_ = false;
    }
    return std::nullopt;
  }

  std::vector<std::string> names(const Fd& shard, std::size_t number, BuildEntry kind) {
    std::vector<std::string> out;
    const std::string prefix = shard_name(number);
    const std::error_code error =
        for_each_entry(shard.get(), scan_.buffer(), [&](const Entry& entry) {
          if (build_entry(prefix, entry.name) == kind) out.emplace_back(entry.name);
        });
    if (error) {
      fail(prefix, error);
      readable_ = false;
    }
    return out;
  }

  bool old(const FileStat& stat) const {
    const auto idle = idle_of_(stat.modified);
    return idle && *idle >= older_than_;
  }

  /// The output that an action names. An unreadable action names none: go does not use it either.
  std::optional<std::uint64_t> output_of(const Fd& shard, const std::string& name) const {
    const auto text = read_at(shard.get(), name, kMaxAction);
    if (!text || text->size() < kOutputAt + kIdSize || !text->starts_with("v1 ")) {
      return std::nullopt;
    }
    return short_id(std::string_view(*text).substr(kOutputAt, kIdSize));
  }

  /// Notes what the actions that are in use name, and how the shard's folder was stamped then.
  void read_actions(std::size_t number) {
    const auto shard = open_shard(number);
    if (!shard) return;
    const auto self = stat_at(shard->get(), "");
    stamps_[number] = self && !may_repeat(self->modified) ? self->modified : 0;
    for (const std::string& name : names(*shard, number, BuildEntry::Action)) {
      const auto stat = stat_at(shard->get(), name.c_str());
      if (!stat || old(*stat)) continue;
      if (const auto output = output_of(*shard, name)) named_.insert(*output);
    }
  }

  void remove_actions(std::size_t number) {
    const auto shard = open_shard(number);
    if (!shard) return;
    for (const std::string& name : names(*shard, number, BuildEntry::Action)) {
      remove_action(*shard, name);
    }
  }

  /// Reads the shards again in which a name has come or gone.
  void look_for_new_actions() {
    for (std::size_t i = 0; i < kShards; ++i) {
      const auto now = stat_at(cache_.get(), shard_name(i).c_str());
      if (now && now->modified != stamps_[i]) read_actions(i);
    }
  }

  void remove_outputs(std::size_t number) {
    look_for_new_actions();
    const auto shard = open_shard(number);
    if (!shard || !readable_) return;
    for (const std::string& name : names(*shard, number, BuildEntry::Data)) {
      remove_output(*shard, name);
    }
  }

  void remove_action(const Fd& shard, const std::string& name) {
    const auto output = output_of(shard, name);
    const auto stat = stat_at(shard.get(), name.c_str());
    if (!stat) return;
    if (!old(*stat)) {  // used since it was listed
      if (output) named_.insert(*output);
      return;
    }
    if (::unlinkat(shard.get(), name.c_str(), 0) != 0) {
      if (errno == ENOENT) return;
      fail(name, last_error());
      if (output) named_.insert(*output);
      return;
    }
    out_.actions += 1;
    out_.removed += Totals{stat->bytes, 1};
    step(hook_, "build-action");
  }

  void remove_output(const Fd& shard, const std::string& name) {
    const auto id = short_id(name);
    const auto stat = stat_at(shard.get(), name.c_str());
    if (!id || !stat || !old(*stat)) return;
    if (named_.contains(*id)) {
      out_.kept_outputs += 1;
      return;
    }
    Totals size{stat->bytes, 1};
    if (stat->type == EntryType::Folder) {
      if (auto fd = open_folder(shard.get(), name)) {
        TreeMemo memo;
        size = scan_.count(*fd, memo);
      }
      // An executable: whole in one step, as a module.
      if (const auto error = trash_.take(shard.get(), name)) return fail(name, error);
    } else if (::unlinkat(shard.get(), name.c_str(), 0) != 0) {
      if (errno != ENOENT) fail(name, last_error());
      return;
    }
    out_.outputs += 1;
    out_.removed += size;
    step(hook_, "build-output");
  }

  const Fd& cache_;
  seconds older_than_;
  const Trash& trash_;
  const IdleOf& idle_of_;
  const InUseNow& in_use_;
  const StepHook& hook_;
  TreeScan scan_;
  std::unordered_set<std::uint64_t> named_;  ///< outputs of actions that stay
  std::array<std::int64_t, kShards> stamps_{};
  bool readable_ = true;
  BuildRemoval out_;
};

}  // namespace

BuildRemoval remove_builds(const Fd& cache, seconds older_than, const Trash& trash,
                           const IdleOf& idle_of, const InUseNow& in_use, const StepHook& hook) {
  return Remover(cache, older_than, trash, idle_of, in_use, hook).run();
}

}  // namespace gobuildenv::agent::collector
