#include "operator/certificate_files.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

namespace gobuildenv::cli {

using webhooks::certificates::KeyPair;

namespace {

tl::expected<std::string, std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return tl::unexpected(fmt::format("{}: {}", path, std::strerror(errno)));
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

}  // namespace

CertificateFiles::CertificateFiles(std::string dir, std::chrono::milliseconds period,
                                   kube::Metrics& metrics)
    : dir_(std::move(dir)),
      period_(period),
      reads_(metrics.certificate_reads()),
      errors_(metrics.certificate_read_errors()) {}

CertificateFiles::~CertificateFiles() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

tl::expected<KeyPair, std::string> CertificateFiles::read() {
  reads_.add();
  auto certificate = read_file(dir_ + "/tls.crt");
  auto key = certificate ? read_file(dir_ + "/tls.key") : certificate;
  if (!key) {
    errors_.add();
    return tl::unexpected(std::move(key.error()));
  }
  KeyPair pair{std::move(*certificate), std::move(*key)};
  if (const auto checked = webhooks::certificates::check_pair(pair); !checked) {
    errors_.add();
    return tl::unexpected(fmt::format("{}: {}", dir_, checked.error()));
  }
  return pair;
}

void CertificateFiles::follow(KeyPair current, Use use) {
  thread_ = std::thread([this, current = std::move(current), use = std::move(use)]() mutable {
    run(std::move(current), use);
  });
}

void CertificateFiles::run(KeyPair current, const Use& use) {
  std::string last_error;
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, period_, [this] { return stopping_; })) {
    lock.unlock();
    auto pair = read();
    if (!pair) {
      if (pair.error() != last_error) {
        spdlog::warn("the certificate cannot be read; the one in use stays error=\"{}\"",
                     pair.error());
      }
      last_error = pair.error();
    } else {
      last_error.clear();
      if (!(*pair == current)) {
        use(*pair);
        current = std::move(*pair);
      }
    }
    lock.lock();
  }
}

}  // namespace gobuildenv::cli
