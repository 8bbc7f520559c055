#include "agent/toolchains/store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>  // NOLINT(modernize-deprecated-headers): mkdtemp() is POSIX
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agent/durable_file.hpp"
#include "agent/remove_tree.hpp"
#include "agent/toolchains/record.hpp"
#include "agent/unique_fd.hpp"
#include "kube/files.hpp"

namespace gobuildenv::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kToolchains = "/toolchains";
constexpr std::string_view kIncoming = "/incoming";

std::error_code last_error() { return {errno, std::generic_category()}; }

tl::unexpected<StoreError> fail(std::string_view doing, const std::string& path,
                                std::error_code code) {
  return tl::unexpected(store_error(doing, path, code));
}

/// Names in a folder, in order; empty when it cannot be read.
std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// What `key` says of its sum: the base64url part, which store_key() would make again.
bool key_belongs(std::string_view key, const std::string& h1) {
  const std::string shared = store_key(h1, "");
  if (shared.empty()) return false;
  if (key == shared) return true;
  return key.starts_with("ns-") && key.size() > shared.size() + 4 && key.ends_with("-" + shared);
}

std::optional<StoredToolchain> read_stored(const std::string& root, const ToolchainId& id,
                                           const std::string& key) {
  StoredToolchain found{id, key, fmt::format("{}{}/{}/{}", root, kToolchains, id.name(), key), {}};
  const auto text = kube::read_small_file(found.folder + "/record.json");
  auto record = text ? decode_record(*text) : std::nullopt;
  if (!record || !key_belongs(key, record->h1)) return std::nullopt;
  found.record = *std::move(record);
  return found;
}

}  // namespace

StoreError store_error(std::string message, std::error_code code) {
  StoreError error{StoreError::Kind::Io, std::move(message)};
  if (code == std::errc::no_space_on_device || code.value() == EDQUOT) {
    error.kind = StoreError::Kind::DiskFull;
  } else if (code == std::errc::read_only_file_system) {
    error.kind = StoreError::Kind::ReadOnly;
  }
  return error;
}

StoreError store_error(std::string_view doing, const std::string& path, std::error_code code) {
  return store_error(fmt::format("cannot {} {}: {}", doing, path, code.message()), code);
}

Incoming::Incoming(Incoming&& other) noexcept : path_(std::exchange(other.path_, {})) {}

Incoming& Incoming::operator=(Incoming&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

Incoming::~Incoming() {
  if (path_.empty()) return;
  // What cannot be removed here goes at the next start.
  [[maybe_unused]] const auto failed = remove_tree(path_);
}

tl::expected<ToolchainStore, StoreError> ToolchainStore::open(std::string root, StepHook hook) {
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  if (!root.starts_with('/')) {
    return tl::unexpected(StoreError{
        StoreError::Kind::Invalid,
        fmt::format("root \"{}\" is not an absolute path: write one, as /var/lib/gobuildenv",
                    root)});
  }
  for (const std::string_view folder : {kToolchains, kIncoming}) {
    const std::string path = root + std::string(folder);
    if (const auto failed = make_folders(path)) return fail("make folder", path, failed);
  }
  ToolchainStore store(std::move(root), std::move(hook));
  const std::string incoming = store.root_ + std::string(kIncoming);
  for (const std::string& name : names_in(incoming)) {
    const std::string path = incoming + "/" + name;
    const auto failed = remove_tree(path);
    // Read-only: what is published can still be read, and nothing new can come.
    if (failed && failed != std::errc::read_only_file_system) return fail("remove", path, failed);
  }
  return store;
}

std::optional<StoredToolchain> ToolchainStore::find(const ToolchainWant& want) const {
  if (want.pinned) {
    const std::string own = store_key(want.pinned->h1, want.pinned->namespace_uid);
    if (own.empty()) return std::nullopt;
    // Verified by the database and the same bytes: no reason for a second copy.
    auto shared = read_stored(root_, want.id, store_key(want.pinned->h1, ""));
    return shared ? shared : read_stored(root_, want.id, own);
  }
  for (const std::string& key :
       names_in(fmt::format("{}{}/{}", root_, kToolchains, want.id.name()))) {
    if (!key.starts_with("h1-")) continue;
    if (auto found = read_stored(root_, want.id, key)) return found;
  }
  return std::nullopt;
}

std::vector<StoredToolchain> ToolchainStore::list() const {
  std::vector<StoredToolchain> out;
  const std::string folder = root_ + std::string(kToolchains);
  for (const std::string& name : names_in(folder)) {
    const auto id = parse_toolchain_id(name);
    if (!id) continue;
    for (const std::string& key : names_in(folder + "/" + name)) {
      if (auto found = read_stored(root_, *id, key)) out.push_back(*std::move(found));
    }
  }
  return out;
}

tl::expected<Incoming, StoreError> ToolchainStore::begin() const {
  std::string path = root_ + std::string(kIncoming) + "/XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail("make folder", path, last_error());
  return Incoming(std::move(path));
}

tl::expected<StoredToolchain, StoreError> ToolchainStore::publish(
    Incoming incoming, const ToolchainId& id, std::string_view namespace_uid,
    const ToolchainRecord& record) const {
  const std::string key = store_key(record.h1, namespace_uid);
  if (key.empty()) {
    return tl::unexpected(
        StoreError{StoreError::Kind::Invalid,
                   fmt::format("\"{}\" is not a sum, or \"{}\" not a namespace's uid", record.h1,
                               namespace_uid)});
  }
  const std::string& work = incoming.path();
  ::unlink(incoming.archive().c_str());
  const std::string record_path = work + "/record.json";
  if (const auto failed = write_durably(record_path, encode_record(record))) {
    return fail("write", record_path, failed);
  }
  step(hook_, "record");

  const UniqueFd folder(::open(work.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // mkdtemp() made it for us alone; a pod's user must get through to the toolchain.
  if (!folder || ::fchmod(folder.get(), 0755) != 0) {
    return fail("set the mode of", work, last_error());
  }
  // One sync for 10,000 files; fsync() of each would wait for the disk as often.
  if (::syncfs(folder.get()) != 0) return fail("sync", work, last_error());
  step(hook_, "sync");

  const std::string parent = fmt::format("{}{}/{}", root_, kToolchains, id.name());
  const std::string target = parent + "/" + key;
  if (const auto failed = make_folders(parent)) return fail("make folder", parent, failed);
  if (::renameat2(AT_FDCWD, work.c_str(), AT_FDCWD, target.c_str(), RENAME_NOREPLACE) == 0) {
    incoming.path_.clear();
  } else if (errno != EEXIST) {
    return fail("publish", target, last_error());
  }
  step(hook_, "rename");
  if (const auto failed = sync_folder(parent)) return fail("sync", parent, failed);
  step(hook_, "folder-sync");
  auto stored = read_stored(root_, id, key);
  if (!stored) {
    return tl::unexpected(
        StoreError{StoreError::Kind::Invalid,
                   fmt::format("{} is there and is not a toolchain of ours: remove it", target)});
  }
  return *std::move(stored);
}

}  // namespace gobuildenv::agent
