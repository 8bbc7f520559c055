#include "kube/status_error.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

namespace gobuildenv::kube {
namespace {

using Kind = Error::Kind;
using nlohmann::json;

constexpr std::size_t kLongestMessage = 1024;
constexpr long kLongestRetryAfter = 3600;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// The causes that change what a caller does.
std::string special_cause(const json& status) {
  const auto details = status.find("details");
  if (details == status.end() || !details->is_object()) {
    return {};
  }
  const auto causes = details->find("causes");
  if (causes == details->end() || !causes->is_array()) {
    return {};
  }
  for (const json& cause : *causes) {
    const std::string reason = cause.is_object() ? text_of(cause, "reason") : "";
    if (reason == "NamespaceTerminating" || reason == "ResourceVersionTooLarge") {
      return reason;
    }
  }
  return {};
}

Kind kind_of(int code, const std::string& reason, std::string_view message) {
  // Old servers give no cause, only the words.
  if (reason == "ResourceVersionTooLarge" ||
      (code == 504 && message.find("Too large resource version") != std::string_view::npos)) {
    return Kind::Gone;
  }
  // kube-apiserver answers 500 to an apply with an unknown field of a built-in kind; the same
  // request fails for ever (structured-merge-diff, seen with 1.34).
  if (code == 500 && message.starts_with("failed to create typed patch object")) {
    return Kind::Invalid;
  }
  switch (code) {
    case 401:
    case 403:
      return Kind::Forbidden;
    case 404:
      return Kind::NotFound;
    case 409:
      return reason == "AlreadyExists" ? Kind::AlreadyExists : Kind::Conflict;
    case 410:
      return Kind::Gone;
    case 408:
    case 429:
      return Kind::Retry;
    default:
      return code >= 500 || code == 0 ? Kind::Retry : Kind::Invalid;
  }
}

Error from(int code, const json& status) {
  Error error;
  error.code = code;
  if (status.is_object()) {
    const auto stated = status.find("code");
    if (code == 0 && stated != status.end() && stated->is_number_integer()) {
      error.code = static_cast<int>(std::clamp<long long>(stated->get<long long>(), 0, 999));
    }
    error.reason = special_cause(status);
    if (error.reason.empty()) {
      error.reason = text_of(status, "reason");
    }
    error.message = text_of(status, "message");
    if (const auto details = status.find("details");
        details != status.end() && details->is_object()) {
      const auto seconds = details->find("retryAfterSeconds");
      if (seconds != details->end() && seconds->is_number_integer() &&
          seconds->get<long long>() > 0) {
        error.retry_after = std::chrono::seconds(
            std::min<long long>(seconds->get<long long>(), kLongestRetryAfter));
      }
    }
  }
  error.kind = kind_of(error.code, error.reason, error.message);
  if (error.message.empty()) {
    error.message = fmt::format("the server answered {} without saying why", error.code);
  }
  if (error.message.size() > kLongestMessage) {
    std::size_t end = kLongestMessage;
    while (end > 0 && (static_cast<unsigned char>(error.message[end]) & 0xC0U) == 0x80U) --end;
    error.message.resize(end);
    error.message += "…";
  }
  return error;
}

}  // namespace

std::optional<std::chrono::seconds> parse_retry_after(std::string_view value) {
  long seconds = 0;
  const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (ec != std::errc{} || end != value.data() + value.size() || seconds < 0) {
    return std::nullopt;
  }
  return std::chrono::seconds(std::min(seconds, kLongestRetryAfter));
}

Error error_from_response(const HttpResponse& response) {
  const json status = json::parse(response.body, nullptr, false);
  Error error = from(response.status, status);
  if (auto header = parse_retry_after(response.header("Retry-After"))) {
    error.retry_after = header;
  }
  return error;
}

Error error_from_status(std::string_view status_json) {
  return from(0, json::parse(status_json, nullptr, false));
}

Error error_from_transport(const TransportError& error) {
  Error out;
  out.kind = error.kind == TransportError::Kind::Cancelled ? Kind::ShuttingDown : Kind::Retry;
  out.message = error.message;
  return out;
}

}  // namespace gobuildenv::kube
