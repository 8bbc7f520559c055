#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace gobuildenv::agent {

/// Folders that belong to one volume: `<root>/pods/<volume id>/<name>`. Gone in one rename into
/// `<root>/trash`, whatever is in them. Errors name path and cause.
class PrivateParts {
 public:
  /// `root` exists. Makes pods/ and trash/ in it.
  static tl::expected<PrivateParts, std::string> open(std::string root);

  /// A folder that every process of the pod can write to: mode 0777, or 02777 of `group`. Keeps
  /// what is there. Gives its path below the root.
  [[nodiscard]] tl::expected<std::string, std::string> make_writable(
      const std::string& volume_id, std::string_view name,
      std::optional<std::uint32_t> group) const;

  /// An empty folder for the kernel alone, beside what make_writable() made.
  [[nodiscard]] tl::expected<std::string, std::string> make_work(const std::string& volume_id,
                                                                 std::string_view name) const;

  /// A file that every process of the pod can write to, in a folder of make_writable().
  [[nodiscard]] tl::expected<void, std::string> write_for_all(const std::string& volume_id,
                                                              std::string_view name,
                                                              std::string_view file,
                                                              std::string_view content) const;

  /// A folder that holds one file of one line, both readable by all.
  [[nodiscard]] tl::expected<std::string, std::string> make_note(const std::string& volume_id,
                                                                 std::string_view name,
                                                                 std::string_view file,
                                                                 std::string_view line) const;

  /// Puts everything of the volume into the trash; nothing there is success.
  [[nodiscard]] tl::expected<void, std::string> discard(const std::string& volume_id) const;

  /// Volume ids that have parts.
  [[nodiscard]] std::set<std::string> list() const;

 private:
  explicit PrivateParts(std::string root) : root_(std::move(root)) {}
  std::string root_;
};

}  // namespace gobuildenv::agent
