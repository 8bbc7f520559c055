#include "agent/toolchains/zip_directory.hpp"

#include <fmt/format.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <unordered_map>

namespace gobuildenv::agent {
namespace {

using Bad = tl::unexpected<std::string>;

constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kCentralSize = 46;
constexpr std::size_t kLocalSize = 30;
constexpr std::size_t kMaxComment = 65535;
constexpr std::uint64_t kMaxDirectory = std::uint64_t{64} << 20U;
constexpr std::uint64_t kSmallFile = std::uint64_t{1} << 20U;
constexpr std::size_t kMaxPath = 1024;
constexpr std::size_t kMaxName = 255;

std::uint64_t number(std::string_view bytes, std::size_t at, unsigned size) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return value;
}

std::optional<std::string> read_at(int fd, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t got =
        ::pread(fd, bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return std::nullopt;
    have += static_cast<std::size_t>(got);
  }
  return bytes;
}

struct End {
  std::uint64_t entries = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
};

tl::expected<End, std::string> read_end(int fd, std::uint64_t archive) {
  const std::size_t tail =
      static_cast<std::size_t>(std::min<std::uint64_t>(archive, kEndSize + kMaxComment));
  const auto bytes = read_at(fd, archive - tail, tail);
  if (!bytes || tail < kEndSize) return Bad("it is too short for a zip file");
  for (std::size_t at = tail - kEndSize + 1; at-- > 0;) {
    if (number(*bytes, at, 4) != kEndSignature) continue;
    if (number(*bytes, at + 20, 2) != tail - at - kEndSize) continue;
    const std::uint64_t disks = number(*bytes, at + 4, 4);
    const End end{number(*bytes, at + 10, 2), number(*bytes, at + 12, 4),
                  number(*bytes, at + 16, 4)};
    if (disks != 0 || number(*bytes, at + 8, 2) != end.entries) {
      return Bad("it is a part of a zip file in several parts");
    }
    if (end.entries == 0xffff || end.offset == 0xffffffff || end.size == 0xffffffff) {
      return Bad("it is a ZIP64 file, which no toolchain is");
    }
    if (end.offset + end.size > archive - tail + at || end.size > kMaxDirectory) {
      return Bad("its directory lies outside");
    }
    return end;
  }
  return Bad("it is not a zip file, or its end is missing");
}

std::string folded(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

/// Keeps files and folders apart, and every name unique on file systems that fold case.
class Names {
 public:
  /// False when `name` or a folder above it is something else already.
  bool add(std::string_view name) {
    const bool folder = name.ends_with('/');
    if (folder) name.remove_suffix(1);
    for (std::size_t slash = name.find('/'); slash != std::string_view::npos;
         slash = name.find('/', slash + 1)) {
      if (!add_one(name.substr(0, slash), true)) return false;
    }
    return add_one(name, folder);
  }

 private:
  struct Seen {
    std::string name;
    bool folder;
  };

  bool add_one(std::string_view name, bool folder) {
    const auto [at, fresh] = seen_.try_emplace(folded(name), Seen{std::string(name), folder});
    return fresh || (folder && at->second.folder && at->second.name == name);
  }

  std::unordered_map<std::string, Seen> seen_;
};

/// What is wrong with one entry of the central directory at `at`; nothing when it is fine.
std::optional<std::string> check_kind(std::string_view bytes, std::size_t at) {
  const std::uint64_t made_by = number(bytes, at + 5, 1);
  const std::uint64_t flags = number(bytes, at + 8, 2);
  const std::uint64_t method = number(bytes, at + 10, 2);
  const auto mode = static_cast<mode_t>(number(bytes, at + 40, 2));
  constexpr std::uint64_t kUnix = 3;
  constexpr std::uint64_t kMac = 19;
  if ((flags & 1U) != 0) return "is encrypted";
  if (method != 0 && method != 8) return "is neither stored nor deflated";
  if ((made_by == kUnix || made_by == kMac) && (mode & S_IFMT) != 0 && !S_ISREG(mode) &&
      !S_ISDIR(mode)) {
    return "is a link or a device";
  }
  return std::nullopt;
}

std::optional<std::string> check_size(const ZipEntry& entry, const ZipLimits& limits) {
  if (entry.folder() && (entry.size != 0 || entry.compressed != 0)) return "is a folder with data";
  if (!entry.deflated && entry.size != entry.compressed) return "has two sizes";
  if (entry.size > limits.file) {
    return fmt::format("has {} bytes, more than the {} a file may have", entry.size, limits.file);
  }
  if (entry.size > kSmallFile && entry.size / limits.ratio > entry.compressed) {
    return fmt::format("grows more than {} times", limits.ratio);
  }
  return std::nullopt;
}

/// Entries lie behind each other and before the directory, as every writer puts them: data that
/// belongs to two of them is how small archives grow without end.
bool overlapping(const std::vector<ZipEntry>& entries, std::uint64_t directory) {
  std::vector<const ZipEntry*> sorted;
  sorted.reserve(entries.size());
  for (const ZipEntry& entry : entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(),
            [](const ZipEntry* a, const ZipEntry* b) { return a->offset < b->offset; });
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const std::uint64_t end =
        sorted[i]->offset + kLocalSize + sorted[i]->name.size() + sorted[i]->compressed;
    if (end > (i + 1 < sorted.size() ? sorted[i + 1]->offset : directory)) return true;
  }
  return false;
}

}  // namespace

bool plain_path(std::string_view name) {
  if (name.ends_with('/')) name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxPath ||
      !simdjson::validate_utf8(name.data(), name.size())) {
    return false;
  }
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.size() > kMaxName ||
        std::any_of(part.begin(), part.end(), [](char c) {
          const auto byte = static_cast<unsigned char>(c);
          return byte < ' ' || byte == 0x7f || c == '\\';
        })) {
      return false;
    }
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

tl::expected<std::vector<ZipEntry>, std::string> read_zip_directory(int fd,
                                                                    const ZipLimits& limits) {
  struct stat found {};
  if (::fstat(fd, &found) != 0 || found.st_size < 0) return Bad("its size cannot be read");
  const auto archive = static_cast<std::uint64_t>(found.st_size);
  if (archive > limits.archive) {
    return Bad(fmt::format("it has {} bytes, more than {}", archive, limits.archive));
  }
  const auto end = read_end(fd, archive);
  if (!end) return Bad(end.error());
  if (end->entries > limits.entries) {
    return Bad(fmt::format("it has {} entries, more than {}", end->entries, limits.entries));
  }
  const auto bytes = read_at(fd, end->offset, static_cast<std::size_t>(end->size));
  if (!bytes) return Bad("its directory cannot be read");
  std::vector<ZipEntry> entries;
  entries.reserve(static_cast<std::size_t>(end->entries));
  Names names;
  std::uint64_t total = 0;
  std::size_t at = 0;
  while (entries.size() < end->entries) {
    if (bytes->size() - at < kCentralSize || number(*bytes, at, 4) != kCentralSignature) {
      return Bad("its directory is damaged");
    }
    const std::size_t name_size = static_cast<std::size_t>(number(*bytes, at + 28, 2));
    const std::size_t whole =
        kCentralSize + name_size +
        static_cast<std::size_t>(number(*bytes, at + 30, 2) + number(*bytes, at + 32, 2));
    if (bytes->size() - at < whole) return Bad("its directory is damaged");
    ZipEntry entry{bytes->substr(at + kCentralSize, name_size), number(*bytes, at + 42, 4),
                   number(*bytes, at + 20, 4), number(*bytes, at + 24, 4),
                   number(*bytes, at + 10, 2) != 0};
    if (!plain_path(entry.name)) {
      return Bad(fmt::format("its entry {} has a name that is not a plain relative path",
                             entries.size() + 1));
    }
    std::optional<std::string> wrong = check_kind(*bytes, at);
    if (!wrong) wrong = check_size(entry, limits);
    if (!wrong && !names.add(entry.name)) {
      wrong = "is there twice, or as a file and a folder, or differs by capitals only";
    }
    if (wrong) return Bad(fmt::format("its entry \"{}\" {}", entry.name, *wrong));
    total += entry.size;
    if (total > limits.total) {
      return Bad(fmt::format("it inflates to more than {} bytes", limits.total));
    }
    entries.push_back(std::move(entry));
    at += whole;
  }
  if (at != bytes->size()) return Bad("its directory is damaged");
  if (overlapping(entries, end->offset)) return Bad("its entries overlap");
  return entries;
}

tl::expected<std::uint64_t, std::string> zip_data_offset(int fd, const ZipEntry& entry) {
  const auto bytes = read_at(fd, entry.offset, kLocalSize);
  if (!bytes || number(*bytes, 0, 4) != kLocalSignature) {
    return Bad(fmt::format("its entry \"{}\" has no header", entry.name));
  }
  return entry.offset + kLocalSize + number(*bytes, 26, 2) + number(*bytes, 28, 2);
}

}  // namespace gobuildenv::agent
