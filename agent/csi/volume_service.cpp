#include "agent/csi/volume_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <utility>

namespace gobuildenv::agent {
namespace {

using Code = CallError::Code;
using tl::unexpected;

constexpr std::string_view kMarker = ".gobuildenv-unavailable";
constexpr std::string_view kMarkerFolder = "unavailable";
constexpr std::string_view kWritableFolder = "upper";
constexpr std::string_view kWorkFolder = "work";
/// When go last trimmed its build cache.
constexpr std::string_view kTrimFile = "trim.txt";
/// A toolchain may be collected between its being found and its being mounted; it is then fetched
/// again. More often than this is not chance.
constexpr int kMountTries = 3;

unexpected<CallError> fail(Code code, std::string message) {
  return unexpected(CallError{code, std::move(message)});
}

std::string describe(const ToolchainWant& want, const ToolchainState& state) {
  const std::string name = want.id.name();
  switch (state.kind) {
    case ToolchainState::Kind::Fetching:
      if (state.total_bytes == 0) return fmt::format("{} is being fetched", name);
      return fmt::format("{} is being fetched, {} of {} MB", name, state.bytes / 1'000'000,
                         state.total_bytes / 1'000'000);
    case ToolchainState::Kind::Failed:
      return fmt::format("{}: {}: {}", name, state.reason, state.message);
    case ToolchainState::Kind::Absent:
    case ToolchainState::Kind::Ready:
      break;
  }
  return fmt::format("{} is not on this node yet", name);
}

/// Errors of the disk end with their cause.
bool says_read_only(std::string_view message) {
  return message.ends_with(std::generic_category().message(EROFS));
}

unexpected<CallError> disk_failed(std::string message) {
  if (says_read_only(message)) {
    message +=
        "; a cache cannot be written there: repair the node's disk and mount it writable again, or "
        "cordon the node and delete the pod, so that it runs on another one";
  }
  return fail(Code::Internal, std::move(message));
}

}  // namespace

VolumeService::VolumeService(VolumeServiceOptions options, Parts parts)
    : options_(std::move(options)), parts_(std::move(parts)) {}

tl::expected<void, CallError> VolumeService::publish(const PublishCall& call,
                                                     const CallContext& context) {
  auto spec = parse_publish(call, options_.pods_dir);
  if (!spec) return fail(Code::InvalidArgument, std::move(spec.error()));
  const auto lock = locks_.try_lock(spec->volume_id);
  if (!lock) {
    return fail(Code::Aborted,
                fmt::format("another call for volume {} is in progress", spec->volume_id));
  }
  const auto there = already_there(*spec);
  if (!there) return unexpected(there.error());
  if (*there) {
    if (const auto record = parts_.registry.find(spec->volume_id)) mount_newer(*record);
    return {};
  }

  const std::string cache = find_cache(*spec, context);
  bool layered = true;
  const UnitLease parts_lease = take_lease("pods/" + spec->volume_id, *spec);
  for (int tried = 1;; ++tried) {
    const auto source =
        cache.empty() ? make_source(*spec, context) : make_cache(*spec, cache, layered);
    if (!source) return unexpected(source.error());
    step(options_.hook, "parts");
    const VolumeRecord record = make_record(*spec, *source);
    if (auto put = put_record(record); !put) {
      undo(*spec);
      return unexpected(std::move(put.error()));
    }
    step(options_.hook, "recorded");
    const auto mounted = mount(*spec, *source);
    if (mounted) {
      step(options_.hook, "mounted");
      mount_newer(record);
      parts_.observer.published(record);
      return {};
    }
    undo(*spec);
    const MountError& error = mounted.error();
    const bool overlay_failed = error.kind == MountError::Kind::Other && !source->lower.empty();
    if (overlay_failed) {
      layered = false;
      parts_.observer.not_shared(*spec, error.message);
    } else if (error.kind != MountError::Kind::SourceMissing || tried == kMountTries) {
      return fail(Code::Internal, error.message);
    }
  }
}

tl::expected<void, CallError> VolumeService::put_record(const VolumeRecord& record) {
  auto put = parts_.registry.put(record);
  // A toolchain's mount tells recover_volumes() all that must not be lost, and of a marker nothing
  // is to be found again; nor can anything be removed from a read-only disk meanwhile.
  if (!put && record.kind == VolumeKind::Toolchain && says_read_only(put.error())) {
    put = parts_.registry.keep(record);
    if (!put) parts_.observer.not_recorded(record, put.error());
    return {};
  }
  if (!put) return disk_failed(std::move(put.error()));
  return {};
}

tl::expected<bool, CallError> VolumeService::already_there(const VolumeSpec& spec) {
  const auto record = parts_.registry.find(spec.volume_id);
  if (!record) {
    // A mount that nobody remembers would be covered, and would outlive the volume.
    const auto stray = parts_.mounter.is_mounted(spec.target);
    if (!stray) return fail(Code::Internal, stray.error().message);
    if (*stray) {
      const auto gone = parts_.mounter.unmount(spec.target);
      if (!gone) return fail(Code::Internal, gone.error().message);
    }
    return false;
  }
  if (record->target != spec.target) {
    return fail(Code::AlreadyExists,
                fmt::format("volume {} is published at {}, not at {}; unpublish it there first",
                            spec.volume_id, record->target, spec.target));
  }
  const auto mounted = parts_.mounter.is_mounted(spec.target);
  if (!mounted) return fail(Code::Internal, mounted.error().message);
  return *mounted;
}

tl::expected<VolumeService::Source, CallError> VolumeService::make_source(
    const VolumeSpec& spec, const CallContext& context) {
  Source source;
  if (spec.kind == VolumeKind::Toolchain) {
    auto found = find_toolchain(spec, context);
    if (!found || found->unavailable.empty()) return found;
    auto marker =
        parts_.files.make_note(spec.volume_id, kMarkerFolder, kMarker, found->unavailable);
    source = std::move(*found);
    source.in_memory = !marker && says_read_only(marker.error());
    if (source.in_memory) marker = fmt::format("pods/{}/{}", spec.volume_id, kMarkerFolder);
    if (!marker) return fail(Code::Internal, std::move(marker.error()));
    source.path = std::move(*marker);
    return source;
  }
  auto folder = parts_.files.make_writable(spec.volume_id, kWritableFolder, spec.group);
  if (!folder) return disk_failed(std::move(folder.error()));
  source.path = std::move(*folder);
  return source;
}

std::string VolumeService::find_cache(const VolumeSpec& spec, const CallContext& context) {
  if (spec.kind == VolumeKind::Toolchain || spec.scope == goenv::CacheScope::Pod) return {};
  CacheAnswer answer;
  answer.why = "this agent shares none";
  auto until = parts_.clock.now() + options_.cache_wait;
  if (context.deadline != kube::Clock::TimePoint::max()) {
    until = std::min(until, context.deadline - options_.margin);
  }
  kube::StopSignal never;
  while (parts_.caches != nullptr) {
    answer = parts_.caches->cache_of(spec);
    if (answer.kind == CacheAnswer::Kind::Shared) return std::move(answer.cache);
    const auto now = parts_.clock.now();
    const bool given_up = stopping_ || (context.cancelled && context.cancelled());
    if (answer.kind == CacheAnswer::Kind::Own || now >= until || given_up) break;
    never.sleep(parts_.clock, std::min<kube::Clock::Duration>(until - now, options_.poll));
  }
  parts_.observer.not_shared(spec, answer.why);
  return {};
}

tl::expected<VolumeService::Source, CallError> VolumeService::make_cache(const VolumeSpec& spec,
                                                                         const std::string& cache,
                                                                         bool layered) {
  // An overlay that was not unmounted cleanly may have lost writes, and the kernel refuses to mount
  // it again.
  if (auto fresh = parts_.files.discard(spec.volume_id); !fresh) {
    return disk_failed(std::move(fresh.error()));
  }
  Source source;
  source.cache = cache;
  auto upper = parts_.files.make_writable(spec.volume_id, kWritableFolder, spec.group);
  if (!upper) return disk_failed(std::move(upper.error()));
  source.path = std::move(*upper);
  if (layered) source.lower = parts_.caches->newest(cache);
  if (source.lower.empty()) return source;
  auto work = parts_.files.make_work(spec.volume_id, kWorkFolder);
  if (!work) return fail(Code::Internal, std::move(work.error()));
  source.work = std::move(*work);
  if (spec.kind != VolumeKind::Build) return source;
  // Without it go would look through the whole cache at the end of the first build, and drop what
  // nobody has built for five days.
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(parts_.clock.wall_now().time_since_epoch());
  if (auto done = parts_.files.write_for_all(spec.volume_id, kWritableFolder, kTrimFile,
                                             fmt::format("{}", now.count()));
      !done) {
    return fail(Code::Internal, std::move(done.error()));
  }
  return source;
}

void VolumeService::mount_newer(const VolumeRecord& record) {
  for (const std::string& newer : record.newer) {
    const std::string folder = fmt::format("{}/{}", kNewerFolder, newer_name(newer));
    const auto done = parts_.mounter.bind_inside(newer, record.source, record.target, folder);
    if (!done) parts_.observer.not_offered(record, done.error().message);
  }
}

tl::expected<void, MountError> VolumeService::mount(const VolumeSpec& spec, const Source& source) {
  if (source.in_memory) {
    return parts_.mounter.note(std::string(kMarker), source.unavailable, spec.target);
  }
  if (!source.lower.empty()) {
    return parts_.mounter.overlay({source.lower, source.path, source.work}, spec.target);
  }
  return parts_.mounter.bind(source.path, spec.target, spec.kind == VolumeKind::Toolchain);
}

tl::expected<VolumeService::Source, CallError> VolumeService::find_toolchain(
    const VolumeSpec& spec, const CallContext& context) {
  const auto began = parts_.clock.now();
  auto until = began + options_.wait;
  if (context.deadline != kube::Clock::TimePoint::max()) {
    until = std::min(until, context.deadline - options_.margin);
  }
  bool told = false;
  std::string why;
  UnitLease lease;
  kube::StopSignal never;
  while (true) {
    const auto now = parts_.clock.now();
    const auto slice = std::min(until, now + options_.poll);
    const auto want = parts_.want(spec);
    if (want) {
      if (!lease) lease = take_lease("toolchains/" + want->id.name(), spec);
      const ToolchainState state = parts_.toolchains.wait(*want, slice);
      if (state.kind == ToolchainState::Kind::Ready) {
        const std::string prefix = options_.root + "/";
        if (!state.goroot.starts_with(prefix)) {
          return fail(Code::Internal, fmt::format("{} is not below {}", state.goroot, prefix));
        }
        Source found;
        found.path = state.goroot.substr(prefix.size());
        found.lease = std::move(lease);
        if (parts_.newer) {
          for (const std::string& newer : parts_.newer(spec, *want)) {
            if (newer.starts_with(prefix)) found.newer.push_back(newer.substr(prefix.size()));
          }
        }
        return found;
      }
      why = describe(*want, state);
      // An early end of the wait says that nothing will change by itself.
      if (state.kind == ToolchainState::Kind::Failed && parts_.clock.now() < slice) break;
    } else {
      why = want.error().message;
      if (!want.error().may_pass) break;
      if (slice > now) never.sleep(parts_.clock, slice - now);
    }
    if (parts_.clock.now() >= until) break;
    if (context.cancelled && context.cancelled()) {
      return fail(Code::Cancelled, "the caller has given up");
    }
    if (stopping_) return fail(Code::Unavailable, "the agent is stopping");
    if (!told && parts_.clock.now() - began >= options_.patience) {
      told = true;
      parts_.observer.waiting(spec, why);
    }
  }
  Source none;
  none.unavailable = std::move(why);
  return none;
}

UnitLease VolumeService::take_lease(std::string folder, const VolumeSpec& spec) const {
  if (!parts_.lease) return nullptr;
  return parts_.lease(std::move(folder), fmt::format("volume {} of pod {}/{} is being published",
                                                     spec.volume_id, spec.pod.ns, spec.pod.name));
}

VolumeRecord VolumeService::make_record(const VolumeSpec& spec, const Source& source) const {
  VolumeRecord record;
  record.volume_id = spec.volume_id;
  record.kind = spec.kind;
  record.pod = spec.pod;
  record.environment = spec.environment;
  record.revision = spec.revision;
  if (spec.toolchain) record.toolchain = goenv::to_string(*spec.toolchain);
  record.target = spec.target;
  record.source = source.path;
  record.cache = source.cache;
  record.lower = source.lower;
  record.newer = source.newer;
  record.unavailable = source.unavailable;
  record.published_at =
      std::chrono::duration_cast<std::chrono::seconds>(parts_.clock.wall_now().time_since_epoch())
          .count();
  record.boot_id = options_.boot_id;
  return record;
}

void VolumeService::undo(const VolumeSpec& spec) {
  // Neither can be helped here, and both are done again: by the next call, or when the agent
  // starts.
  static_cast<void>(parts_.files.discard(spec.volume_id));
  static_cast<void>(parts_.registry.remove(spec.volume_id));
}

tl::expected<void, CallError> VolumeService::unpublish(const std::string& volume_id,
                                                       const std::string& target_path) {
  if (!is_volume_id(volume_id)) return fail(Code::InvalidArgument, bad_volume_id(volume_id));
  auto target = parse_target(target_path, options_.pods_dir);
  if (!target) return fail(Code::InvalidArgument, std::move(target.error()));
  const auto lock = locks_.try_lock(volume_id);
  if (!lock) {
    return fail(Code::Aborted, fmt::format("another call for volume {} is in progress", volume_id));
  }
  const auto gone = parts_.mounter.unmount(*target);
  if (!gone) {
    const bool busy = gone.error().kind == MountError::Kind::Busy;
    return fail(busy ? Code::Unavailable : Code::Internal, gone.error().message);
  }
  step(options_.hook, "unmounted");
  const auto record = parts_.registry.find(volume_id);
  // Published elsewhere: that mount is not what was asked about.
  if (record && record->target != *target) return {};
  if (auto given = give_up_parts(volume_id, record); !given) return given;
  if (auto removed = parts_.registry.remove(volume_id); !removed) {
    return fail(Code::Internal, std::move(removed.error()));
  }
  step(options_.hook, "removed");
  if (record) parts_.observer.released(*record);
  return {};
}

tl::expected<void, CallError> VolumeService::give_up_parts(
    const std::string& volume_id, const std::optional<VolumeRecord>& record) {
  const bool keep =
      record && !record->cache.empty() && parts_.caches != nullptr && parts_.caches->wants(*record);
  if (keep) {
    // Not worth an unmount that fails for ever: then the pod's work is lost to others.
    const auto kept = parts_.caches->hand_over(*record);
    step(options_.hook, "handed-over");
    if (kept) parts_.observer.handed_over(*record);
    if (!kept) parts_.observer.not_taken(*record, kept.error());
  }
  if (auto discarded = parts_.files.discard(volume_id); !discarded) {
    return fail(Code::Internal, std::move(discarded.error()));
  }
  step(options_.hook, "discarded");
  return {};
}

}  // namespace gobuildenv::agent
