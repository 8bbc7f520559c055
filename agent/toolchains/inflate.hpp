#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/toolchains/zip_directory.hpp"

namespace gobuildenv::agent {

/// Reads the contents of a zip file's entries, one after the other, in memory that does not depend
/// on their size. One thread uses it.
class Inflater {
 public:
  explicit Inflater(int archive);
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Gives the content of `entry` to `sink` in parts; a sink that gives false ends it. The content
  /// has exactly the size the directory says, else it is an error. Gives "" or a sentence;
  /// "stopped" when the sink ended it.
  std::string read(const ZipEntry& entry, const std::function<bool(std::string_view part)>& sink);

 private:
  std::string read_deflated(std::uint64_t offset, const ZipEntry& entry,
                            const std::function<bool(std::string_view part)>& sink);
  std::string read_stored(std::uint64_t offset, const ZipEntry& entry,
                          const std::function<bool(std::string_view part)>& sink);

  int archive_;
  std::vector<char> in_;
  std::vector<char> out_;
  void* stream_;  ///< z_stream, kept out of this header
};

}  // namespace gobuildenv::agent
