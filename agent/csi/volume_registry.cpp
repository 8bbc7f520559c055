#include "agent/csi/volume_registry.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "agent/csi/beneath.hpp"
#include "agent/unique_fd.hpp"
#include "agent/write_all.hpp"
#include "kube/files.hpp"

namespace gobuildenv::agent {
namespace {

using tl::unexpected;

constexpr std::string_view kSuffix = ".json";
constexpr std::string_view kUnfinished = ".new";
/// Nobody else's while put() writes the same record.
constexpr std::string_view kUnfinishedLater = ".later.new";
constexpr std::size_t kMaxRecord = 64 * 1024;

unexpected<std::string> fail(std::string_view what, const std::string& path) {
  return unexpected(fmt::format("cannot {} {}: {}", what, path, ::strerror(errno)));
}

tl::expected<void, std::string> write_file(const std::string& path, std::string_view text) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return fail("write", path);
  if (const auto error = write_all(file.get(), text)) {
    return unexpected(fmt::format("cannot write {}: {}", path, error.message()));
  }
  return {};
}

}  // namespace

tl::expected<std::unique_ptr<VolumeRegistry>, std::string> VolumeRegistry::open(
    const std::string& root, std::vector<std::string>& unreadable) {
  const std::string folder = root + "/volumes";
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail("make", folder);
  std::unique_ptr<VolumeRegistry> out(new VolumeRegistry(folder));
  out->load(unreadable);
  return out;
}

void VolumeRegistry::load(std::vector<std::string>& unreadable) {
  std::error_code error;
  std::vector<std::string> drop;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kSuffix)) {
      if (name.ends_with(kUnfinished)) drop.push_back(entry.path().string());
      continue;
    }
    const auto text = kube::read_small_file(entry.path().string(), kMaxRecord);
    if (!text) {
      unreadable.push_back(fmt::format("{}: {}", name, text.error().message()));
      continue;
    }
    auto record = decode_volume_record(*text);
    if (record && record->volume_id + std::string(kSuffix) == name) {
      count(*record);
      records_.emplace(record->volume_id, std::move(*record));
      continue;
    }
    unreadable.push_back(
        fmt::format("{}: {}", name, record ? "holds another volume's record" : record.error()));
    drop.push_back(entry.path().string());
  }
  for (const std::string& path : drop) ::unlink(path.c_str());
}

std::string VolumeRegistry::path(const std::string& volume_id) const {
  return folder_ + "/" + volume_id + std::string(kSuffix);
}

std::optional<VolumeRecord> VolumeRegistry::find(const std::string& volume_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(volume_id);
  if (found == records_.end()) return std::nullopt;
  return found->second;
}

std::vector<VolumeRecord> VolumeRegistry::records() const {
  const std::lock_guard lock(mutex_);
  std::vector<VolumeRecord> out;
  out.reserve(records_.size());
  for (const auto& [id, record] : records_) out.push_back(record);
  return out;
}

std::size_t VolumeRegistry::uses(const std::string& unit) const {
  const std::lock_guard lock(mutex_);
  const auto found = uses_.find(unit);
  return found == uses_.end() ? 0 : found->second;
}

bool VolumeRegistry::if_unused(const std::string& unit, const std::function<void()>& act) const {
  const std::lock_guard lock(mutex_);
  if (uses_.contains(unit)) return false;
  act();
  return true;
}

void VolumeRegistry::count(const VolumeRecord& record) {
  for (std::string& unit : record.units()) ++uses_[std::move(unit)];
}

void VolumeRegistry::give_up(const VolumeRecord& record) {
  for (const std::string& unit : record.units()) {
    const auto use = uses_.find(unit);
    if (use != uses_.end() && --use->second == 0) uses_.erase(use);
  }
}

tl::expected<void, std::string> VolumeRegistry::put(const VolumeRecord& record) {
  const std::string place = path(record.volume_id);
  const std::string unfinished = place + std::string(kUnfinished);
  const std::string text = encode(record);
  if (auto written = write_file(unfinished, text); !written) {
    ::unlink(unfinished.c_str());
    return written;
  }
  const std::lock_guard lock(mutex_);
  if (::rename(unfinished.c_str(), place.c_str()) != 0) return fail("write", place);
  remember(record);
  unwritten_.erase(record.volume_id);
  return {};
}

void VolumeRegistry::remember(const VolumeRecord& record) {
  VolumeRecord& kept = records_[record.volume_id];
  // The new units are counted before the old ones are given up: they may be the same.
  count(record);
  give_up(kept);
  kept = record;
}

tl::expected<void, std::string> VolumeRegistry::keep(const VolumeRecord& record) {
  auto written = put(record);
  if (written) return {};
  const std::lock_guard lock(mutex_);
  remember(record);
  unwritten_.insert(record.volume_id);
  return written;
}

tl::expected<std::size_t, std::string> VolumeRegistry::write_kept() {
  const std::lock_guard lock(mutex_);
  std::size_t written = 0;
  for (; !unwritten_.empty(); ++written) {
    const std::string& id = *unwritten_.begin();
    const std::string place = path(id);
    const std::string unfinished = place + std::string(kUnfinishedLater);
    if (auto done = write_file(unfinished, encode(records_.at(id))); !done) {
      ::unlink(unfinished.c_str());
      return unexpected(std::move(done.error()));
    }
    if (::rename(unfinished.c_str(), place.c_str()) != 0) return fail("write", place);
    unwritten_.erase(unwritten_.begin());
  }
  return written;
}

tl::expected<void, std::string> VolumeRegistry::remove(const std::string& volume_id) {
  const std::lock_guard lock(mutex_);
  const std::string place = path(volume_id);
  // A read-only disk refuses to remove also what is not there.
  if (::unlink(place.c_str()) != 0 && !is_missing(place)) return fail("remove", place);
  unwritten_.erase(volume_id);
  const auto found = records_.find(volume_id);
  if (found == records_.end()) return {};
  give_up(found->second);
  records_.erase(found);
  return {};
}

std::optional<VolumeLocks::Guard> VolumeLocks::try_lock(const std::string& volume_id) {
  const std::lock_guard lock(mutex_);
  if (!busy_.insert(volume_id).second) return std::nullopt;
  return std::optional<Guard>(std::in_place, *this, volume_id);
}

void VolumeLocks::release(const std::string& volume_id) {
  const std::lock_guard lock(mutex_);
  busy_.erase(volume_id);
}

}  // namespace gobuildenv::agent
