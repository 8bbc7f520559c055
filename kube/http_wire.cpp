#include "kube/http_wire.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace gobuildenv::kube {
namespace {

bool one_line(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20U && byte != 0x7fU;
  });
}

}  // namespace

tl::expected<std::string, TransportError> request_bytes(const HttpRequest& request,
                                                        std::string_view authority) {
  using Kind = TransportError::Kind;
  const bool path = request.target.starts_with('/') || request.target.starts_with("http://");
  if (!path || !one_line(request.target) || request.target.find(' ') != std::string::npos) {
    return tl::unexpected(TransportError{Kind::Protocol, "the request target is not a path"});
  }
  std::string out;
  out.reserve(512 + request.target.size() + request.body.size());
  out.append(method_name(request.method)).append(" ").append(request.target);
  out.append(" HTTP/1.1\r\nHost: ").append(authority).append("\r\n");
  for (const auto& [name, value] : request.headers) {
    if (name.empty() || !one_line(name) || name.find_first_of(": ") != std::string::npos ||
        !one_line(value)) {
      return tl::unexpected(TransportError{
          Kind::Protocol, fmt::format("header {} holds characters no header may have",
                                      one_line(name) ? name : std::string("name"))});
    }
    out.append(name).append(": ").append(value).append("\r\n");
  }
  if (!request.body.empty() || request.method != Method::Get) {
    out.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  }
  out.append("\r\n").append(request.body);
  return out;
}

}  // namespace gobuildenv::kube
