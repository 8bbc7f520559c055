#include "agent/toolchains/inflate.hpp"

#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <new>

namespace gobuildenv::agent {
namespace {

constexpr std::size_t kIn = 65536;
constexpr std::size_t kOut = 262144;

z_stream& zlib(void* stream) { return *static_cast<z_stream*>(stream); }

std::size_t read_some(int fd, std::uint64_t offset, char* buffer, std::size_t size) {
  for (;;) {
    const ssize_t got = ::pread(fd, buffer, size, static_cast<off_t>(offset));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return 0;
  }
}

std::string damaged(const ZipEntry& entry) {
  return fmt::format("its entry \"{}\" is damaged", entry.name);
}

}  // namespace

Inflater::Inflater(int archive) : archive_(archive), in_(kIn), out_(kOut), stream_(new z_stream{}) {
  if (inflateInit2(&zlib(stream_), -MAX_WBITS) != Z_OK) {
    delete &zlib(stream_);
    throw std::bad_alloc();
  }
}

Inflater::~Inflater() {
  inflateEnd(&zlib(stream_));
  delete &zlib(stream_);
}

std::string Inflater::read(const ZipEntry& entry,
                           const std::function<bool(std::string_view part)>& sink) {
  const auto offset = zip_data_offset(archive_, entry);
  if (!offset) return offset.error();
  return entry.deflated ? read_deflated(*offset, entry, sink) : read_stored(*offset, entry, sink);
}

std::string Inflater::read_stored(std::uint64_t offset, const ZipEntry& entry,
                                  const std::function<bool(std::string_view part)>& sink) {
  for (std::uint64_t left = entry.size; left > 0;) {
    const std::size_t got =
        read_some(archive_, offset, out_.data(),
                  static_cast<std::size_t>(std::min<std::uint64_t>(left, kOut)));
    if (got == 0) return damaged(entry);
    if (!sink({out_.data(), got})) return "stopped";
    left -= got;
    offset += got;
  }
  return {};
}

std::string Inflater::read_deflated(std::uint64_t offset, const ZipEntry& entry,
                                    const std::function<bool(std::string_view part)>& sink) {
  z_stream& stream = zlib(stream_);
  if (inflateReset(&stream) != Z_OK) return damaged(entry);
  std::uint64_t unread = entry.compressed;
  std::uint64_t given = 0;
  stream.avail_in = 0;
  for (int state = Z_OK; state != Z_STREAM_END;) {
    if (stream.avail_in == 0 && unread > 0) {
      const std::size_t got =
          read_some(archive_, offset, in_.data(),
                    static_cast<std::size_t>(std::min<std::uint64_t>(unread, kIn)));
      if (got == 0) return damaged(entry);
      stream.next_in = reinterpret_cast<Bytef*>(in_.data());
      stream.avail_in = static_cast<uInt>(got);
      unread -= got;
      offset += got;
    }
    stream.next_out = reinterpret_cast<Bytef*>(out_.data());
    stream.avail_out = static_cast<uInt>(kOut);
    state = inflate(&stream, Z_NO_FLUSH);
    // Z_BUF_ERROR: nothing left to read, and not at the end.
    if (state != Z_OK && state != Z_STREAM_END) return damaged(entry);
    const std::size_t made = kOut - stream.avail_out;
    given += made;
    if (given > entry.size) {
      return fmt::format("its entry \"{}\" is larger than its directory says", entry.name);
    }
    if (made > 0 && !sink({out_.data(), made})) return "stopped";
  }
  if (given != entry.size || unread > 0 || stream.avail_in > 0) {
    return fmt::format("its entry \"{}\" is not as large as its directory says", entry.name);
  }
  return {};
}

}  // namespace gobuildenv::agent
