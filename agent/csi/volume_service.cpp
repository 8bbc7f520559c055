#include "agent/csi/volume_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace gobuildenv::agent {
namespace {

using Code = CallError::Code;
using tl::unexpected;

constexpr std::string_view kMarker = ".gobuildenv-unavailable";
constexpr std::string_view kMarkerFolder = "unavailable";
constexpr std::string_view kWritableFolder = "upper";
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
  if (*there) return {};

  for (int tried = 1;; ++tried) {
    const auto source = make_source(*spec, context);
    if (!source) return unexpected(source.error());
    step(options_.hook, "parts");
    const VolumeRecord record = make_record(*spec, *source);
    if (auto put = parts_.registry.put(record); !put) {
      undo(*spec);
      return fail(Code::Internal, std::move(put.error()));
    }
    step(options_.hook, "recorded");
    const bool read_only = spec->kind == VolumeKind::Toolchain;
    const auto mounted = parts_.mounter.bind(source->path, spec->target, read_only);
    if (mounted) {
      step(options_.hook, "mounted");
      parts_.observer.published(record);
      return {};
    }
    undo(*spec);
    if (mounted.error().kind != MountError::Kind::SourceMissing || tried == kMountTries) {
      return fail(Code::Internal, mounted.error().message);
    }
  }
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
    if (!marker) return fail(Code::Internal, std::move(marker.error()));
    source = std::move(*found);
    source.path = std::move(*marker);
    return source;
  }
  auto folder = parts_.files.make_writable(spec.volume_id, kWritableFolder, spec.group);
  if (!folder) return fail(Code::Internal, std::move(folder.error()));
  source.path = std::move(*folder);
  if (spec.scope != goenv::CacheScope::Pod) parts_.observer.not_shared(spec);
  return source;
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
  kube::StopSignal never;
  while (true) {
    const auto now = parts_.clock.now();
    const auto slice = std::min(until, now + options_.poll);
    const auto want = parts_.want(spec);
    if (want) {
      const ToolchainState state = parts_.toolchains.wait(*want, slice);
      if (state.kind == ToolchainState::Kind::Ready) {
        const std::string prefix = options_.root + "/";
        if (!state.goroot.starts_with(prefix)) {
          return fail(Code::Internal, fmt::format("{} is not below {}", state.goroot, prefix));
        }
        return Source{state.goroot.substr(prefix.size()), {}};
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
  return Source{{}, why};
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
  record.unavailable = source.unavailable;
  record.published_at =
      std::chrono::duration_cast<std::chrono::seconds>(parts_.clock.wall_now().time_since_epoch())
          .count();
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
  if (auto discarded = parts_.files.discard(volume_id); !discarded) {
    return fail(Code::Internal, std::move(discarded.error()));
  }
  step(options_.hook, "discarded");
  if (auto removed = parts_.registry.remove(volume_id); !removed) {
    return fail(Code::Internal, std::move(removed.error()));
  }
  step(options_.hook, "removed");
  if (record) parts_.observer.released(*record);
  return {};
}

}  // namespace gobuildenv::agent
