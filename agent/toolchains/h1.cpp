#include "agent/toolchains/h1.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <utility>

#include "agent/unique_fd.hpp"
#include "kube/base64.hpp"

namespace gobuildenv::agent {
namespace {

constexpr std::size_t kBuffer = 131072;

EVP_MD_CTX* context(void* ctx) { return static_cast<EVP_MD_CTX*>(ctx); }

void append_hex(std::string& out, const Sha256& sum) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (const std::uint8_t byte : sum) {
    out += kHex[byte >> 4U];
    out += kHex[byte & 15U];
  }
}

/// Walks a folder and collects the sums of its files.
class FolderSums {
 public:
  FolderSums(std::string_view prefix, const std::function<bool(std::string_view)>& include)
      : prefix_(prefix), include_(include), buffer_(kBuffer) {}

  std::error_code walk(UniqueFd folder, const std::string& path) {
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(folder.get()), ::closedir);
    if (!entries) return last_error();
    const int fd = folder.release();
    errno = 0;
    while (const dirent* entry = ::readdir(entries.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      const std::string below = path.empty() ? name : path + "/" + name;
      if (const auto failed = visit(fd, name, below)) return failed;
      errno = 0;
    }
    return errno != 0 ? last_error() : std::error_code{};
  }

  std::vector<FileSum> files;

 private:
  static std::error_code last_error() { return {errno, std::generic_category()}; }

  std::error_code visit(int folder, const std::string& name, const std::string& below) {
    UniqueFd file(::openat(folder, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat found {};
    if (!file || ::fstat(file.get(), &found) != 0) return last_error();
    if (S_ISDIR(found.st_mode)) return walk(std::move(file), below);
    if (!S_ISREG(found.st_mode) || name.find('\n') != std::string::npos) {
      return std::make_error_code(std::errc::invalid_argument);
    }
    if (include_ && !include_(below)) return {};
    for (;;) {
      const ssize_t got = ::read(file.get(), buffer_.data(), buffer_.size());
      if (got < 0) return last_error();
      if (got == 0) break;
      stream_.add(buffer_.data(), static_cast<std::size_t>(got));
    }
    files.push_back({prefix_ + below, stream_.finish()});
    return {};
  }

  const std::string prefix_;
  const std::function<bool(std::string_view)>& include_;
  std::vector<char> buffer_;
  Sha256Stream stream_;
};

}  // namespace

Sha256Stream::Sha256Stream() : ctx_(EVP_MD_CTX_new()) {
  if (ctx_ == nullptr || EVP_DigestInit_ex(context(ctx_), EVP_sha256(), nullptr) != 1) {
    EVP_MD_CTX_free(context(ctx_));
    throw std::runtime_error("OpenSSL cannot compute SHA-256");
  }
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(context(ctx_)); }

void Sha256Stream::add(const void* data, std::size_t size) {
  EVP_DigestUpdate(context(ctx_), data, size);
}

Sha256 Sha256Stream::finish() {
  Sha256 sum{};
  EVP_DigestFinal_ex(context(ctx_), sum.data(), nullptr);
  EVP_DigestInit_ex(context(ctx_), nullptr, nullptr);
  return sum;
}

std::string h1_of(std::vector<FileSum> files) {
  std::sort(files.begin(), files.end(),
            [](const FileSum& a, const FileSum& b) { return a.name < b.name; });
  Sha256Stream stream;
  std::string line;
  for (const FileSum& file : files) {
    line.clear();
    append_hex(line, file.sum);
    line.append("  ").append(file.name).append("\n");
    stream.add(line.data(), line.size());
  }
  const Sha256 sum = stream.finish();
  return "h1:" + kube::encode_base64({reinterpret_cast<const char*>(sum.data()), sum.size()});
}

tl::expected<std::string, std::error_code> h1_of_folder(
    const std::string& folder, std::string_view prefix,
    const std::function<bool(std::string_view path)>& include) {
  UniqueFd root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return tl::unexpected(std::error_code(errno, std::generic_category()));
  FolderSums sums(prefix, include);
  if (const auto failed = sums.walk(std::move(root), "")) return tl::unexpected(failed);
  return h1_of(std::move(sums.files));
}

}  // namespace gobuildenv::agent
