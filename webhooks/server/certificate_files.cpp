#include "webhooks/server/certificate_files.hpp"

#include <array>
#include <cstddef>
#include <fstream>

namespace gobuildenv::webhooks::certificates {
namespace {

/// No certificate chain is longer; whatever is, is not read into memory.
constexpr std::size_t kMaxFile = std::size_t{1} << 20;

std::string read_file(const std::string& path, std::string& error) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  // In blocks: files are looked at every few seconds, and most are two or three KiB.
  std::array<char, 4096> block;
  while (file && text.size() < kMaxFile) {
    file.read(block.data(), block.size());
    text.append(block.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (text.empty()) error = path + " is missing, empty or not readable";
  return text;
}

}  // namespace

std::optional<KeyPair> CertificateFiles::reload() {
  std::string error;
  KeyPair pair;
  pair.certificate = read_file(directory_ + "/tls.crt", error);
  pair.private_key = read_file(directory_ + "/tls.key", error);
  if (seen_any_ && pair == seen_) return std::nullopt;
  seen_ = pair;
  seen_any_ = true;
  if (error.empty()) {
    if (const auto checked = check_pair(pair); !checked)
      error = directory_ + ": " + checked.error();
  }
  last_error_ = error;
  if (!error.empty()) {
    ++errors_;
    return std::nullopt;
  }
  ++reads_;
  return pair;
}

CertificateWatcher::CertificateWatcher(CertificateFiles& files, std::chrono::milliseconds interval,
                                       Use use, Report report)
    : files_(files), use_(std::move(use)), report_(std::move(report)) {
  thread_ = std::thread([this, interval] { run(interval); });
}

CertificateWatcher::~CertificateWatcher() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void CertificateWatcher::run(std::chrono::milliseconds interval) {
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, interval, [this] { return stopping_; })) {
    const std::uint64_t errors = files_.errors();
    if (const auto pair = files_.reload()) {
      use_(*pair);
    } else if (files_.errors() != errors && report_) {
      report_(files_.last_error());
    }
  }
}

}  // namespace gobuildenv::webhooks::certificates
