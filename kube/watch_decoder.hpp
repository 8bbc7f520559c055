#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "kube/error.hpp"

/// The watch stream's format: one JSON object a line, {"type": …, "object": …}
/// (k8s.io/apimachinery/pkg/apis/meta/v1, WatchEvent).
namespace gobuildenv::kube {

/// Cuts a byte stream into lines without ever scanning a byte twice. Reading goes into its own
/// buffer: space(), then filled(), then next() until it has no line.
class LineSplitter {
 public:
  /// Lines of more than `max_line` bytes are refused.
  explicit LineSplitter(std::size_t max_line) : max_line_(max_line) {}

  /// At least 1 byte, `size()` of them, to read into. Ends the life of the views of next().
  struct Space {
    char* data;
    std::size_t size;
  };
  Space space();
  void filled(std::size_t bytes) { end_ += bytes; }

  enum class Next : std::uint8_t { Line, NeedMore, TooLong };
  /// `line` has neither "\n" nor "\r\n"; empty lines are skipped. After TooLong the stream is of no
  /// further use.
  Next next(std::string_view& line);
  /// Bytes of an unfinished line are left.
  [[nodiscard]] bool partial() const { return begin_ < end_; }

 private:
  static constexpr std::size_t kChunk = 16 * 1024;

  const std::size_t max_line_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;    ///< of the first line not given yet
  std::size_t scanned_ = 0;  ///< no line end before
  std::size_t end_ = 0;
};

struct WatchEvent {
  enum class Type : std::uint8_t { Added, Modified, Deleted, Bookmark, Error };
  Type type = Type::Added;
  std::string_view object;  ///< JSON text, within the line
  Error error;              ///< of Type::Error: the Status, classified
};

/// Decodes one line. The object itself is only delimited, not validated; its decoder does that.
tl::expected<WatchEvent, std::string> decode_watch_line(std::string_view line);

}  // namespace gobuildenv::kube
