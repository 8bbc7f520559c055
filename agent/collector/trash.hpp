#pragma once

#include <string>

#include "agent/collector/fd.hpp"

/// `<root>/trash`: what is renamed there is gone for everybody in one step, however large it is;
/// the disk gets its blocks back as trash_emptier.hpp works through it, after a crash too.
namespace gobuildenv::agent::collector {

class Trash {
 public:
  /// Makes the folder, mode 0700, if it is missing. `root` is trusted.
  static IoResult<Trash> open(const Fd& root);

  /// Renames `name` in the folder `dir` into the trash; the folder's parents are synced by the
  /// caller if that matters. Not there: no_such_file_or_directory.
  [[nodiscard]] std::error_code take(int dir, const std::string& name) const;

  [[nodiscard]] const Fd& folder() const { return folder_; }

 private:
  explicit Trash(Fd folder) : folder_(std::move(folder)) {}
  Fd folder_;
};

/// 16 hexadecimal digits that nobody can guess.
[[nodiscard]] std::string random_name();

}  // namespace gobuildenv::agent::collector
