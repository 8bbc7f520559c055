// Answers of a server: the first byte chooses the HTTP status, the rest is the body. Every failure
// is classified, has a message, and a list page splits into items inside it or is an error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kube/exec_plugin.hpp"
#include "kube/list_page.hpp"
#include "kube/rfc3339.hpp"
#include "kube/status_error.hpp"
#include "kube/url.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gobuildenv::kube;
  if (size == 0) {
    return 0;
  }
  const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Error error = error_from_response({300 + data[0] % 250, {{"Retry-After", body}}, body});
  const Error inside = error_from_status(body);
  if (error.message.empty() || inside.message.empty() || error.message.size() > 2000) {
    std::abort();
  }
  std::size_t items = 0;
  const auto info = split_list(body, [&](std::string_view item) {
    ++items;
    if (item.data() < body.data() || item.data() + item.size() > body.data() + body.size()) {
      std::abort();
    }
  });
  if (info && info->items != items) {
    std::abort();
  }
  (void)parse_exec_credential(body, "client.authentication.k8s.io/v1");
  (void)parse_rfc3339(body);
  if (const auto url = parse_url(body); url && (url->host.empty() || url->port == 0)) {
    std::abort();
  }
  return 0;
}
