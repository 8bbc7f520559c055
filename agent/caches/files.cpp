#include "agent/caches/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/write_all.hpp"

namespace gobuildenv::agent {
namespace {

using collector::Entry;
using collector::EntryType;
using collector::last_error;
using tl::unexpected;

constexpr std::size_t kBuffer = std::size_t{128} << 10U;

unexpected<std::error_code> failed(int error) {
  return unexpected(std::error_code(error, std::generic_category()));
}

std::vector<char>& buffer() {
  thread_local std::vector<char> out;
  return out;
}

}  // namespace

IoResult<std::vector<std::string>> names_in(const Fd& folder, bool folders, std::size_t limit) {
  std::vector<std::string> out;
  bool over = false;
  const auto error = collector::for_each_entry(folder.get(), buffer(), [&](const Entry& entry) {
    EntryType type = entry.type;
    if (type == EntryType::Unknown) {
      const auto stat = collector::stat_at(folder.get(), entry.name.data());
      if (stat) type = stat->type;
    }
    if (type != (folders ? EntryType::Folder : EntryType::File)) return;
    // While it is read: a hostile folder's names may be more than there is memory.
    over |= out.size() >= limit;
    if (!over) out.emplace_back(entry.name);
  });
  if (error) return unexpected(error);
  if (over) return failed(EOVERFLOW);
  std::sort(out.begin(), out.end());
  return out;
}

IoResult<OpenedFile> open_plain(const Fd& folder, const std::string& path, std::uint64_t limit) {
  // O_NONBLOCK: a FIFO in the file's place must not make us wait.
  auto fd = collector::open_beneath(folder.get(), path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return unexpected(fd.error());
  struct stat found {};
  if (::fstat(fd->get(), &found) != 0) return unexpected(last_error());
  if (!S_ISREG(found.st_mode) || found.st_nlink != 1) return failed(EINVAL);
  const auto size = static_cast<std::uint64_t>(found.st_size);
  if (size > limit) return failed(EFBIG);
  return OpenedFile{std::move(*fd), size, found.st_mtim.tv_sec};
}

IoResult<std::string> read_plain(const Fd& folder, const std::string& path, std::uint64_t limit) {
  const auto file = open_plain(folder, path, limit);
  if (!file) return unexpected(file.error());
  std::string out(file->size, '\0');
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::read(file->fd.get(), out.data() + done, out.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unexpected(last_error());
    if (got == 0) return failed(EBUSY);
    done += static_cast<std::size_t>(got);
  }
  return out;
}

IoResult<Fd> create_new(const Fd& folder, const std::string& name, unsigned mode) {
  Fd out(::openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  0600));
  // Whatever the agent's umask is.
  if (!out || ::fchmod(out.get(), mode) != 0) return unexpected(last_error());
  return out;
}

std::error_code write_new(const Fd& folder, const std::string& name, std::string_view content,
                          unsigned mode) {
  const auto file = create_new(folder, name, mode);
  return file ? write_all(file->get(), content) : file.error();
}

IoResult<Sha256> copy_plain(const OpenedFile& from, const Fd& folder, const std::string& name,
                            unsigned mode) {
  const auto to = create_new(folder, name, mode);
  if (!to) return unexpected(to.error());
  if (buffer().size() < kBuffer) buffer().resize(kBuffer);
  Sha256Stream sha;
  std::uint64_t left = from.size;
  while (true) {
    const ssize_t got = ::read(from.fd.get(), buffer().data(), kBuffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unexpected(last_error());
    const auto size = static_cast<std::size_t>(got);
    if (size > left) return failed(EBUSY);
    if (size == 0) break;
    left -= size;
    sha.add(buffer().data(), size);
    if (const auto error = write_all(to->get(), {buffer().data(), size})) return unexpected(error);
  }
  if (left != 0) return failed(EBUSY);
  return sha.finish();
}

IoResult<Fd> make_below(const Fd& folder, const std::string& path, unsigned mode) {
  Fd at(::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0));
  if (!at) return unexpected(last_error());
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    const bool made = ::mkdirat(at.get(), part.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return unexpected(last_error());
    auto next = collector::open_folder(at.get(), part);
    if (!next) return unexpected(next.error());
    if (made && ::fchmod(next->get(), mode) != 0) return unexpected(last_error());
    at = std::move(*next);
    begin = end + 1;
  }
  return at;
}

std::error_code link_file(const Fd& from, const Fd& to, const std::string& name) {
  if (::linkat(from.get(), name.c_str(), to.get(), name.c_str(), 0) == 0) return {};
  if (errno != EMLINK) return last_error();
  auto fd = collector::open_beneath(from.get(), name, O_RDONLY | O_NOFOLLOW);
  if (!fd) return fd.error();
  struct stat found {};
  if (::fstat(fd->get(), &found) != 0) return last_error();
  const OpenedFile file{std::move(*fd), static_cast<std::uint64_t>(found.st_size), 0};
  const auto copied = copy_plain(file, to, name, found.st_mode & 07777U);
  return copied ? std::error_code() : copied.error();
}

std::error_code link_tree(const Fd& from, const Fd& to, const std::string& name,
                          std::uint64_t& bytes) {
  const auto source = collector::open_folder(from.get(), name);
  if (!source) return source.error();
  struct stat found {};
  if (::fstat(source->get(), &found) != 0) return last_error();
  const auto target = make_below(to, name, found.st_mode & 07777U);
  if (!target) return target.error();
  const auto files = names_in(*source, false);
  if (!files) return files.error();
  for (const std::string& file : *files) {
    struct stat size {};
    if (::fstatat(source->get(), file.c_str(), &size, AT_SYMLINK_NOFOLLOW) != 0)
      return last_error();
    bytes += on_disk(static_cast<std::uint64_t>(size.st_size));
    if (const auto error = link_file(*source, *target, file)) return error;
  }
  const auto folders = names_in(*source, true);
  if (!folders) return folders.error();
  for (const std::string& folder : *folders) {
    if (const auto error = link_tree(*source, *target, folder, bytes)) return error;
  }
  return {};
}

}  // namespace gobuildenv::agent
