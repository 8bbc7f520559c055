#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "agent/csi/volume_record.hpp"

namespace gobuildenv::agent {

/// The records of published volumes, on disk and in memory. Thread-safe.
///
/// Records are renamed into place but not synced: what they describe, mounts, does not outlive the
/// kernel, and a sync would make pods wait for the disk while a cache is written or emptied. After
/// a power cut a record may be missing or empty; then nothing is mounted either.
class VolumeRegistry {
 public:
  /// Makes `<root>/volumes` and reads what is in it. A record that cannot be read is dropped, and
  /// named in `unreadable` with the reason.
  static tl::expected<std::unique_ptr<VolumeRegistry>, std::string> open(
      const std::string& root, std::vector<std::string>& unreadable);

  [[nodiscard]] std::optional<VolumeRecord> find(const std::string& volume_id) const;
  [[nodiscard]] std::vector<VolumeRecord> records() const;

  /// Volumes that use `unit` (VolumeRecord::units()).
  [[nodiscard]] std::size_t uses(const std::string& unit) const;

  /// Runs `act` when nothing uses `unit`, and gives whether it did. No volume comes to use it
  /// meanwhile: whoever removes a toolchain does it in `act`, quickly (a rename).
  bool if_unused(const std::string& unit, const std::function<void()>& act) const;

  /// Adds or replaces. From its return on the unit is in use.
  tl::expected<void, std::string> put(const VolumeRecord& record);
  /// As put(), but it counts also where it cannot be written, which the error then says; it is
  /// written later. For mounts that recover_volumes() finds again if the agent ends before that.
  tl::expected<void, std::string> keep(const VolumeRecord& record);
  /// Writes what keep() could not; gives how many there were, or why one still cannot be.
  tl::expected<std::size_t, std::string> write_kept();
  /// Nothing there is success.
  tl::expected<void, std::string> remove(const std::string& volume_id);

 private:
  explicit VolumeRegistry(std::string folder) : folder_(std::move(folder)) {}
  [[nodiscard]] std::string path(const std::string& volume_id) const;
  void load(std::vector<std::string>& unreadable);
  void count(const VolumeRecord& record);
  void remember(const VolumeRecord& record);
  void give_up(const VolumeRecord& record);

  const std::string folder_;
  mutable std::mutex mutex_;
  std::map<std::string, VolumeRecord> records_;
  std::map<std::string, std::size_t> uses_;
  std::set<std::string> unwritten_;  ///< volume ids; no file is there
};

/// At most one call at a time for each volume. Thread-safe; outlives its guards.
class VolumeLocks {
 public:
  class Guard {
   public:
    Guard(VolumeLocks& locks, std::string id) : locks_(&locks), id_(std::move(id)) {}
    Guard(Guard&& other) noexcept
        : locks_(std::exchange(other.locks_, nullptr)), id_(std::move(other.id_)) {}
    Guard& operator=(Guard&&) = delete;
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() {
      if (locks_ != nullptr) locks_->release(id_);
    }

   private:
    VolumeLocks* locks_;
    std::string id_;
  };

  /// Nothing when another call has it.
  [[nodiscard]] std::optional<Guard> try_lock(const std::string& volume_id);

 private:
  void release(const std::string& volume_id);
  std::mutex mutex_;
  std::set<std::string> busy_;
};

}  // namespace gobuildenv::agent
