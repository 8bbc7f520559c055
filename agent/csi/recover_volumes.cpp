#include "agent/csi/recover_volumes.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "agent/csi/recovery.hpp"
#include "kube/files.hpp"

namespace gobuildenv::agent {
namespace {

constexpr std::size_t kMaxMountinfo = std::size_t{64} << 20U;

tl::expected<std::set<std::string>, std::string> pods(const std::string& pods_dir) {
  std::set<std::string> out;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(pods_dir, error)) {
    out.insert(entry.path().filename().string());
  }
  // A kubelet that has never run has no such folder and no pods.
  if (error && error != std::errc::no_such_file_or_directory) {
    return tl::unexpected(fmt::format("cannot read {}: {}", pods_dir, error.message()));
  }
  return out;
}

}  // namespace

tl::expected<RecoveryReport, std::string> recover_volumes(VolumeRegistry& registry,
                                                          PrivateParts& files,
                                                          const std::string& root,
                                                          const std::string& pods_dir) {
  const auto mountinfo = kube::read_small_file("/proc/self/mountinfo", kMaxMountinfo);
  if (!mountinfo) {
    return tl::unexpected(
        fmt::format("cannot read /proc/self/mountinfo: {}", mountinfo.error().message()));
  }
  RecoveryInput input;
  auto uids = pods(pods_dir);
  if (!uids) return tl::unexpected(std::move(uids.error()));
  const auto records = registry.records();
  const auto mounts = mounted_volumes(parse_mountinfo(*mountinfo), root, pods_dir);
  input.records = records;
  input.mounts = mounts;
  input.pod_uids = std::move(*uids);
  input.private_parts = files.list();
  const RecoveryPlan plan = plan_recovery(input);

  RecoveryReport report;
  const auto note = [&report](std::string text) { report.notes.push_back(std::move(text)); };
  for (const VolumeRecord& record : plan.adopt) {
    const auto kept = registry.keep(record);
    note(fmt::format("mount without a record, counted again volume={} source={}{}",
                     record.volume_id, record.source,
                     kept ? "" : fmt::format(" unwritten=\"{}\"", kept.error())));
  }
  for (const std::string& id : plan.forget) {
    auto done = files.discard(id);
    if (done) done = registry.remove(id);
    note(done ? fmt::format("record of a pod that is gone, dropped volume={}", id) : done.error());
  }
  for (const std::string& id : plan.discard) {
    const auto done = files.discard(id);
    note(done ? fmt::format("files without a record, put into the trash volume={}", id)
              : done.error());
  }
  return report;
}

}  // namespace gobuildenv::agent
