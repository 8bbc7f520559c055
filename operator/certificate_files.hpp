#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <tl/expected.hpp>

#include "kube/metrics.hpp"
#include "webhooks/certificates/key_pair.hpp"

namespace gobuildenv::cli {

/// Serves the certificate in `dir`/tls.crt and tls.key, and looks every `period` whether it was
/// replaced. A pair that cannot be read or does not belong together (half-written) is counted and
/// left alone; the one in use stays.
class CertificateFiles {
 public:
  using Use = std::function<void(const webhooks::certificates::KeyPair&)>;

  CertificateFiles(std::string dir, std::chrono::milliseconds period, kube::Metrics& metrics);
  ~CertificateFiles();
  CertificateFiles(const CertificateFiles&) = delete;
  CertificateFiles& operator=(const CertificateFiles&) = delete;

  /// Reads the pair as it is now. Error: a sentence naming the file.
  tl::expected<webhooks::certificates::KeyPair, std::string> read();
  /// Calls `use` with each new pair from a thread of its own; `current` is the one in use.
  void follow(webhooks::certificates::KeyPair current, Use use);

 private:
  void run(webhooks::certificates::KeyPair current, const Use& use);

  const std::string dir_;
  const std::chrono::milliseconds period_;
  const kube::Counter reads_;
  const kube::Counter errors_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace gobuildenv::cli
