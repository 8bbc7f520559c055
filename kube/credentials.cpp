#include "kube/credentials.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <iterator>
#include <mutex>

#include "kube/base64.hpp"
#include "kube/exec_plugin.hpp"
#include "kube/files.hpp"

namespace gobuildenv::kube {
namespace {

constexpr std::chrono::seconds kTokenAge{60};
constexpr std::chrono::seconds kFileCheck{5};
constexpr std::chrono::seconds kExecTimeout{30};
/// A credential that expires while its request is on the way is of no use.
constexpr std::chrono::seconds kExpiryMargin{10};

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  return first == std::string::npos
             ? std::string()
             : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// As the API server decodes it, which also lowers its case: what is no token character of RFC 9110
/// section 5.6.2, and "%" itself, as "%" and two digits.
std::string escape_header_key(std::string_view key) {
  constexpr std::string_view kPlain = "!#$&'*+-.^_`|~";
  std::string out;
  for (const char c : key) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (alphanumeric || kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

class FileCredentials final : public Credentials {
 public:
  FileCredentials(const ClusterConfig& config, Clock& clock)
      : config_(config), clock_(clock), token_(config.token) {}

  /// First reading of everything but the plugin.
  tl::expected<void, ConfigError> start() {
    const std::lock_guard lock(mutex_);
    if (!config_.token_file.empty()) {
      if (auto read = read_token(); !read && token_.empty()) {
        return read;
      }
    }
    if (config_.server.tls) {
      return read_tls();
    }
    return {};
  }

  tl::expected<AuthHeaders, ConfigError> headers(Deadline deadline) override {
    std::unique_lock lock(mutex_);
    if (!config_.token_file.empty() && clock_.now() - token_read_ >= kTokenAge) {
      if (auto read = read_token(); !read) {
        warn(read.error());
      }
    }
    if (config_.exec && exec_due()) {
      if (auto ran = run_plugin(lock, deadline); !ran) {
        return tl::unexpected(ran.error());
      }
    }
    return AuthHeaders{current_headers(), generation_};
  }

  bool refresh(std::uint64_t generation, Deadline deadline) override {
    std::unique_lock lock(mutex_);
    if (generation < headers_changed_) {
      return true;  // another thread was here first
    }
    if (!config_.token_file.empty()) {
      if (auto read = read_token(); !read) {
        warn(read.error());
      }
    }
    if (config_.server.tls && stamps() != stamps_) {
      if (auto read = read_tls(); !read) {
        warn(read.error());
      }
    }
    if (config_.exec) {
      if (auto ran = run_plugin(lock, deadline); !ran) {
        warn(ran.error());
      }
    }
    return generation != generation_;
  }

  tl::expected<TlsContext, ConfigError> tls() override {
    const std::lock_guard lock(mutex_);
    if (clock_.now() - files_checked_ >= kFileCheck) {
      files_checked_ = clock_.now();
      if (stamps() != stamps_) {
        if (auto read = read_tls(); !read) {
          warn(read.error());
        }
      }
    }
    return tls_;
  }

 private:
  using Stamps = std::array<FileStamp, 3>;

  [[nodiscard]] Stamps stamps() const {
    return {stamp_of(config_.ca.file), stamp_of(config_.certificate.file),
            stamp_of(config_.key.file)};
  }

  void warn(const ConfigError& error) const {
    spdlog::warn("Keeping the credentials read before error=\"{}\"", error.text());
  }

  [[nodiscard]] Headers current_headers() const {
    Headers out;
    const std::string& token = config_.exec ? credential_.token : token_;
    if (!token.empty()) {
      out.emplace_back("Authorization", "Bearer " + token);
    } else if (!config_.username.empty()) {
      out.emplace_back("Authorization",
                       "Basic " + encode_base64(config_.username + ":" + config_.password));
    }
    if (!config_.impersonate.empty()) {
      out.emplace_back("Impersonate-User", config_.impersonate);
    }
    if (!config_.impersonate_uid.empty()) {
      out.emplace_back("Impersonate-Uid", config_.impersonate_uid);
    }
    for (const auto& group : config_.impersonate_groups) {
      out.emplace_back("Impersonate-Group", group);
    }
    for (const auto& [key, values] : config_.impersonate_extra) {
      const std::string name = "Impersonate-Extra-" + escape_header_key(key);
      for (const auto& value : values) {
        out.emplace_back(name, value);
      }
    }
    return out;
  }

  tl::expected<void, ConfigError> read_token() {
    token_read_ = clock_.now();
    auto text = read_small_file(config_.token_file);
    if (!text) {
      return tl::unexpected(
          ConfigError{config_.origin, config_.token_file,
                      fmt::format("the token cannot be read ({})", text.error().message()),
                      "correct the path or the file's permissions"});
    }
    std::string token = trimmed(*text);
    if (token.empty()) {
      return tl::unexpected(ConfigError{config_.origin, config_.token_file,
                                        "the token file is empty", "write the token into it"});
    }
    if (token != token_) {
      token_ = std::move(token);
      headers_changed_ = ++generation_;
    }
    return {};
  }

  static tl::expected<std::string, ConfigError> pem_of(const std::string& origin,
                                                       const PemSource& source) {
    if (!source.data.empty() || source.file.empty()) {
      return source.data;
    }
    auto text = read_small_file(source.file);
    if (!text) {
      return tl::unexpected(ConfigError{
          origin, source.file, fmt::format("it cannot be read ({})", text.error().message()),
          "correct the path or the file's permissions"});
    }
    if (text->empty()) {
      // Taken as it is, an empty CA file would mean "trust the system's store".
      return tl::unexpected(
          ConfigError{origin, source.file, "it is empty", "write PEM text into it"});
    }
    return *std::move(text);
  }

  /// Builds a new context when the material differs; the old one stays on any error.
  tl::expected<void, ConfigError> read_tls() {
    const Stamps before = stamps();
    TlsMaterial material;
    material.insecure = config_.insecure;
    auto ca = pem_of(config_.origin, config_.ca);
    auto certificate = pem_of(config_.origin, config_.certificate);
    auto key = pem_of(config_.origin, config_.key);
    for (const auto* part : {&ca, &certificate, &key}) {
      if (!*part) {
        return tl::unexpected(part->error());
      }
    }
    material.ca = *std::move(ca);
    material.certificate =
        credential_.certificate.empty() ? *std::move(certificate) : credential_.certificate;
    material.key = credential_.key.empty() ? *std::move(key) : credential_.key;
    material.system_trust = material.ca.empty() && !config_.insecure;
    if (!tls_.ctx || material != material_) {
      auto made = make_tls_context(material);
      if (!made) {
        return tl::unexpected(
            ConfigError{config_.origin,
                        fmt::format("certificate-authority={} client-certificate={} client-key={}",
                                    config_.ca.file, config_.certificate.file, config_.key.file),
                        made.error(), "check the files named, or the inline data"});
      }
      material_ = std::move(material);
      tls_ = {*std::move(made), ++generation_};
    }
    // Only now: after an error the files are looked at again, even if they look the same.
    stamps_ = before;
    return {};
  }

  [[nodiscard]] bool exec_due() const {
    return !ran_ ||
           (credential_.expires && clock_.wall_now() + kExpiryMargin >= *credential_.expires);
  }

  /// One thread runs the plugin, without the lock; the others wait for it until their deadlines.
  tl::expected<void, ConfigError> run_plugin(std::unique_lock<std::mutex>& lock,
                                             Deadline deadline) {
    if (running_) {
      const auto run = runs_;
      while (running_ && runs_ == run) {
        if (plugin_done_.wait_until(lock, deadline) == std::cv_status::timeout) {
          return tl::unexpected(ConfigError{config_.origin, "exec", "the plugin takes too long",
                                            "run the plugin by hand to see why"});
        }
      }
      return ran_ ? tl::expected<void, ConfigError>() : tl::unexpected(last_error_);
    }
    running_ = true;
    const std::string ca = material_.ca;
    lock.unlock();
    auto credential = run_exec_plugin(
        config_, ca, std::min(deadline, std::chrono::steady_clock::now() + kExecTimeout));
    lock.lock();
    running_ = false;
    ++runs_;
    plugin_done_.notify_all();
    if (!credential) {
      last_error_ = credential.error();
      return tl::unexpected(credential.error());
    }
    ran_ = true;
    const bool new_certificate = credential->certificate != credential_.certificate;
    if (credential->token != credential_.token || new_certificate) {
      headers_changed_ = ++generation_;
    }
    credential_ = *std::move(credential);
    return new_certificate ? read_tls() : tl::expected<void, ConfigError>();
  }

  const ClusterConfig config_;
  Clock& clock_;
  std::mutex mutex_;
  std::condition_variable plugin_done_;
  std::uint64_t generation_ = 1;
  /// The generation with the last new token or answer of the plugin. tls() makes generations of its
  /// own, between the headers of a request and its 401: they say nothing of the token.
  std::uint64_t headers_changed_ = 1;
  std::string token_;
  Clock::TimePoint token_read_{};
  TlsMaterial material_;
  TlsContext tls_;
  Stamps stamps_{};
  Clock::TimePoint files_checked_{};
  ExecCredential credential_;
  ConfigError last_error_;
  bool ran_ = false;
  bool running_ = false;
  std::uint64_t runs_ = 0;
};

}  // namespace

tl::expected<std::unique_ptr<Credentials>, ConfigError> make_credentials(
    const ClusterConfig& config, Clock& clock) {
  auto made = std::make_unique<FileCredentials>(config, clock);
  if (auto started = made->start(); !started) {
    return tl::unexpected(started.error());
  }
  return made;
}

}  // namespace gobuildenv::kube
