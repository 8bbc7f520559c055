// Any body is an answer or a clean error; a patch applies to the pod it is for, and the patched pod
// needs no further one.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "goenv/revision.hpp"
#include "webhooks/handlers.hpp"

namespace {

using namespace gobuildenv;
using Json = nlohmann::json;

/// Every name is an environment, so that the fuzzer need not guess one. Two namespaces and a label
/// stand for what cannot be read.
class AnyEnvironment : public webhooks::EnvironmentLookup {
 public:
  AnyEnvironment() {
    goenv::Spec spec;
    spec.toolchain.version = "1.22.3";
    spec.conda.base_image = "registry.example/conda:1";
    spec.modules.credentials_secret = "netrc";
    auto environment = std::make_shared<webhooks::ServedEnvironment>();
    environment->name = "build";
    environment->revision = "0123456789";
    environment->config_map = "build-0123456789";
    environment->pod_json =
        std::make_shared<const std::string>(goenv::encode(goenv::render(spec, "1.22.3", {}).plan));
    environment_ = std::move(environment);
  }
  Answer find(std::string_view, std::string_view) const override {
    return {Found::Yes, environment_};
  }
  Candidates selecting(std::string_view ns, const webhooks::Labels& labels) const override {
    Candidates out;
    if (labels.contains("unread")) {
      out.unknown = {"build"};
    } else {
      out.environments = {environment_};
    }
    out.complete = ns != "partial";
    return out;
  }
  webhooks::NamespaceInjection injection(std::string_view ns) const override {
    return ns == "unread" ? webhooks::NamespaceInjection::Unknown
                          : webhooks::NamespaceInjection::Enabled;
  }
  webhooks::CsiDriver csi_driver() const override { return webhooks::CsiDriver::Registered; }

 private:
  std::shared_ptr<const webhooks::ServedEnvironment> environment_;
};

webhooks::AdmissionResponse decide(const std::string& body, const AnyEnvironment& lookup) {
  const auto review = webhooks::Review::parse(body);
  return review ? webhooks::decide(*review, lookup, {}) : webhooks::AdmissionResponse{};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const AnyEnvironment lookup;
  static const auto pods = webhooks::make_pod_handler(lookup, {}, {});
  static const auto environments = webhooks::make_gobuildenv_handler({});
  const std::string body(reinterpret_cast<const char*>(data), size);
  for (const auto* handler : {&pods, &environments}) {
    const auto answer = (*handler)(body);
    const Json parsed = Json::parse(answer.body, nullptr, false);
    const bool known = answer.status == 200 || answer.status == 400 || answer.status == 503;
    if (parsed.is_discarded() || !known) std::abort();
    if (answer.status == 200 && !parsed["response"]["allowed"].is_boolean()) std::abort();
  }
  // Members that come twice are read differently by every parser; the API server sends none.
  Json review = Json::parse(body, nullptr, false);
  if (review.is_discarded() || !review.is_object() || !review.contains("request")) return 0;
  const auto first = decide(review.dump(), lookup);
  if (first.patch.empty()) return 0;
  Json& pod = review["request"]["object"];
  pod = pod.patch(Json::parse(first.patch));
  if (!decide(review.dump(), lookup).patch.empty()) std::abort();
  return 0;
}
