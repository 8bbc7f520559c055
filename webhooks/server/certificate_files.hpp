#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "webhooks/certificates/key_pair.hpp"

/// Certificates from a directory, for use outside a cluster and with mounted Secrets: tls.crt and
/// tls.key, read again when they change.
namespace gobuildenv::webhooks::certificates {

/// The two files. Not thread-safe, but for the counters.
class CertificateFiles {
 public:
  explicit CertificateFiles(std::string directory) : directory_(std::move(directory)) {}

  /// The pair when it is not the one given last time and is whole; nullopt otherwise. A
  /// half-written or mixed pair counts as one error for as long as it stays the same, and the last
  /// good pair goes on serving.
  std::optional<KeyPair> reload();

  const std::string& last_error() const { return last_error_; }  ///< empty after a good read
  std::uint64_t reads() const { return reads_; }                 ///< pairs given out
  std::uint64_t errors() const { return errors_; }               ///< pairs that were not usable

 private:
  std::string directory_;
  KeyPair seen_;  ///< what the files held last time, good or not
  bool seen_any_ = false;
  std::string last_error_;
  std::atomic<std::uint64_t> reads_{0};
  std::atomic<std::uint64_t> errors_{0};
};

/// Looks at the files every `interval` on a thread of its own.
class CertificateWatcher {
 public:
  using Use = std::function<void(const KeyPair&)>;
  using Report = std::function<void(const std::string& error)>;

  /// `files` must outlive the watcher. `use` gets each new good pair, `report` each new error; both
  /// are called on the watcher's thread.
  CertificateWatcher(CertificateFiles& files, std::chrono::milliseconds interval, Use use,
                     Report report);
  ~CertificateWatcher();
  CertificateWatcher(const CertificateWatcher&) = delete;
  CertificateWatcher& operator=(const CertificateWatcher&) = delete;

 private:
  void run(std::chrono::milliseconds interval);

  CertificateFiles& files_;
  Use use_;
  Report report_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace gobuildenv::webhooks::certificates
