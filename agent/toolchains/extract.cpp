#include "agent/toolchains/extract.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

#include "agent/toolchains/h1.hpp"
#include "agent/toolchains/inflate.hpp"
#include "agent/unique_fd.hpp"
#include "agent/write_all.hpp"

namespace gobuildenv::agent {
namespace {

using Kind = ExtractError::Kind;

constexpr unsigned kMaxThreads = 4;
constexpr mode_t kFile = 0444;
constexpr mode_t kCommand = 0555;

ExtractError disk_error(std::string_view doing, const std::string& path, int code) {
  return {Kind::Disk,
          fmt::format("cannot {} {}: {}", doing, path, std::generic_category().message(code)),
          code};
}

/// The files cmd/go makes executable (internal/toolchain/select.go): a zip keeps no modes.
bool is_command(std::string_view path) {
  if (path.starts_with("bin/") || path.starts_with("pkg/tool/")) return true;
  if (!path.starts_with("lib/")) return false;
  // go_?*_?*_exec
  std::string_view name = path.substr(path.rfind('/') + 1);
  if (!name.starts_with("go_") || !name.ends_with("_exec") || name.size() < 11) return false;
  name = name.substr(3, name.size() - 8);
  const std::size_t middle = name.find('_', 1);
  return middle != std::string_view::npos && middle + 1 < name.size();
}

std::optional<std::string_view> nested_module(std::string_view path) {
  constexpr std::string_view kName = "_go.mod";
  if (path != kName && !path.ends_with("/_go.mod")) return std::nullopt;
  return path.substr(0, path.size() - kName.size());
}

class Extraction {
 public:
  Extraction(int archive, int folder, std::size_t prefix, const std::vector<ZipEntry>& entries,
             const ExtractOptions& options)
      : archive_(archive),
        folder_(folder),
        prefix_(prefix),
        entries_(entries),
        options_(options),
        sums_(entries.size()) {}

  std::optional<ExtractError> run() {
    if (!make_folders()) return error_;
    order_ = largest_first();
    unsigned threads = options_.threads;
    if (threads == 0) threads = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxThreads);
    {
      std::vector<std::jthread> workers;
      for (unsigned i = 1; i < threads; ++i) workers.emplace_back([this] { work(); });
      work();
    }
    if (!error_) close_folders();
    return error_;
  }

  [[nodiscard]] std::vector<FileSum> take_sums() { return std::move(sums_); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  [[nodiscard]] std::string path_of(const ZipEntry& entry) const {
    return entry.name.substr(prefix_);
  }

  void fail(ExtractError error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
  }

  bool make_folders() {
    for (const ZipEntry& entry : entries_) {
      const std::string path = path_of(entry);
      for (std::size_t slash = path.find('/'); slash != std::string::npos;
           slash = path.find('/', slash + 1)) {
        folders_.insert(path.substr(0, slash));
      }
    }
    // In order of name a folder comes before what is in it.
    for (const std::string& folder : folders_) {
      if (::mkdirat(folder_, folder.c_str(), 0755) != 0) {
        fail(disk_error("make folder", folder, errno));
        return false;
      }
    }
    return true;
  }

  void close_folders() {
    for (const std::string& folder : folders_) {
      if (::fchmodat(folder_, folder.c_str(), kCommand, 0) != 0) {
        fail(disk_error("close folder", folder, errno));
      }
    }
    if (::fchmod(folder_, kCommand) != 0) fail(disk_error("close folder", "goroot", errno));
  }

  /// So that no thread is left alone with a large file at the end.
  [[nodiscard]] std::vector<std::size_t> largest_first() const {
    std::vector<std::size_t> order(entries_.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
      return entries_[a].size > entries_[b].size;
    });
    return order;
  }

  void work() {
    try {
      Inflater inflater(archive_);
      Sha256Stream sha;
      for (;;) {
        const std::size_t turn = next_.fetch_add(1, std::memory_order_relaxed);
        if (turn >= order_.size() || failed_) return;
        if (options_.stopped && options_.stopped()) return fail({Kind::Stopped, "stopped", 0});
        extract(order_[turn], inflater, sha);
      }
    } catch (const std::exception& error) {
      fail({Kind::Disk, error.what(), ENOMEM});
    }
  }

  UniqueFd create(const std::string& path) {
    // The mode of a new file does not bind the descriptor that made it.
    UniqueFd file(::openat(folder_, path.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                           is_command(path) ? kCommand : kFile));
    if (!file) {
      fail(disk_error("create", path, errno));
    } else if (::fchmod(file.get(), is_command(path) ? kCommand : kFile) != 0) {
      fail(disk_error("set the mode of", path, errno));
    }
    return file;
  }

  void extract(std::size_t index, Inflater& inflater, Sha256Stream& sha) {
    const ZipEntry& entry = entries_[index];
    const std::string path = path_of(entry);
    sums_[index].name = entry.name;
    if (entry.folder()) {
      sums_[index].sum = sha.finish();
      return;
    }
    const UniqueFd file = create(path);
    if (!file) return;
    UniqueFd copy;
    if (const auto folder = nested_module(path)) {
      copy = create(std::string(*folder) + "go.mod");
      if (!copy) return;
    }
    const std::string wrong = inflater.read(entry, [&](std::string_view part) {
      sha.add(part.data(), part.size());
      return write(file.get(), part, path) && (!copy || write(copy.get(), part, path));
    });
    sums_[index].sum = sha.finish();
    bytes_.fetch_add(entry.size, std::memory_order_relaxed);
    if (!wrong.empty()) fail({Kind::Archive, wrong, 0});
  }

  bool write(int fd, std::string_view part, const std::string& path) {
    if (const auto error = write_all(fd, part)) {
      fail(disk_error("write", path, error.value()));
      return false;
    }
    return !failed_;
  }

  const int archive_;
  const int folder_;
  const std::size_t prefix_;
  const std::vector<ZipEntry>& entries_;
  const ExtractOptions& options_;
  std::set<std::string> folders_;
  std::vector<std::size_t> order_;
  std::vector<FileSum> sums_;  ///< by entry, each written by one thread
  std::atomic<std::size_t> next_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::optional<ExtractError> error_;
};

}  // namespace

std::string archive_prefix(const ToolchainId& id) {
  return fmt::format("golang.org/toolchain@{}/", id.module_version());
}

tl::expected<Extracted, ExtractError> extract_toolchain(const std::string& archive,
                                                        const ToolchainId& id,
                                                        const std::string& goroot,
                                                        const ExtractOptions& options) {
  const UniqueFd file(::open(archive.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return tl::unexpected(disk_error("open", archive, errno));
  const auto entries = read_zip_directory(file.get(), options.limits);
  if (!entries) {
    return tl::unexpected(
        ExtractError{Kind::Archive, fmt::format("the archive is refused: {}", entries.error()), 0});
  }
  const std::string prefix = archive_prefix(id);
  for (const ZipEntry& entry : *entries) {
    if (!entry.name.starts_with(prefix) || entry.name.size() == prefix.size()) {
      return tl::unexpected(
          ExtractError{Kind::Archive,
                       fmt::format("the archive is refused: its entry \"{}\" is not below {}",
                                   entry.name, prefix),
                       0});
    }
  }
  if (::mkdir(goroot.c_str(), 0755) != 0) {
    return tl::unexpected(disk_error("make folder", goroot, errno));
  }
  const UniqueFd folder(::open(goroot.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return tl::unexpected(disk_error("open", goroot, errno));
  Extraction extraction(file.get(), folder.get(), prefix.size(), *entries, options);
  if (auto error = extraction.run()) {
    if (error->kind == Kind::Archive) error->message = "the archive is refused: " + error->message;
    return tl::unexpected(*std::move(error));
  }
  std::uint64_t files = 0;
  for (const ZipEntry& entry : *entries) files += entry.folder() ? 0U : 1U;
  return Extracted{h1_of(extraction.take_sums()), files, extraction.bytes()};
}

}  // namespace gobuildenv::agent
