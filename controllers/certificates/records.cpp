#include "controllers/certificates/records.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "controllers/gobuildenv/records.hpp"
#include "kube/base64.hpp"

namespace gobuildenv::controllers {

namespace certs = webhooks::certificates;
using Json = nlohmann::json;

const kube::ResourceType kSecretType{"", "v1", "secrets", "Secret", true};
const kube::ResourceType kMutatingWebhookType{"admissionregistration.k8s.io", "v1",
                                              "mutatingwebhookconfigurations",
                                              "MutatingWebhookConfiguration", false};
const kube::ResourceType kValidatingWebhookType{"admissionregistration.k8s.io", "v1",
                                                "validatingwebhookconfigurations",
                                                "ValidatingWebhookConfiguration", false};

namespace {

std::string text(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

tl::expected<std::pair<Json, kube::ObjectMeta>, std::string> parse(std::string_view json) {
  Json object = Json::parse(json, nullptr, false);
  if (!object.is_object() || !object.contains("metadata")) {
    return tl::unexpected(std::string("no JSON object with metadata"));
  }
  const Json& metadata = object["metadata"];
  kube::ObjectMeta meta{{text(metadata, "namespace"), text(metadata, "name")},
                        text(metadata, "uid"),
                        text(metadata, "resourceVersion")};
  if (meta.key.name.empty()) return tl::unexpected(std::string("the object has no name"));
  return std::pair(std::move(object), std::move(meta));
}

}  // namespace

tl::expected<kube::Decoded<CertificateSecret>, std::string> decode_secret(std::string_view json) {
  auto parsed = parse(json);
  if (!parsed) return tl::unexpected(parsed.error());
  std::map<std::string, std::string> data;
  if (const auto entries = parsed->first.find("data");
      entries != parsed->first.end() && entries->is_object()) {
    for (const auto& [key, value] : entries->items()) {
      if (!value.is_string()) continue;
      if (auto bytes = kube::decode_base64(value.get_ref<const std::string&>())) {
        data[key] = std::move(*bytes);
      }
    }
  }
  auto record = std::make_shared<CertificateSecret>();
  record->stored = certs::decode(data);
  if (const Json& metadata = parsed->first["metadata"]; metadata.contains("labels")) {
    record->managed = text(metadata["labels"], std::string(kManagedByLabel).c_str()) == kManagedBy;
  }
  return kube::Decoded<CertificateSecret>{std::move(parsed->second), std::move(record)};
}

tl::expected<kube::Decoded<WebhookConfiguration>, std::string> decode_webhook_configuration(
    std::string_view json) {
  auto parsed = parse(json);
  if (!parsed) return tl::unexpected(parsed.error());
  auto record = std::make_shared<WebhookConfiguration>();
  if (const auto hooks = parsed->first.find("webhooks");
      hooks != parsed->first.end() && hooks->is_array()) {
    for (const Json& hook : *hooks) {
      WebhookConfiguration::Hook& out = record->hooks.emplace_back();
      out.name = text(hook, "name");
      if (const auto client = hook.find("clientConfig"); client != hook.end()) {
        out.ca_bundle = kube::decode_base64(text(*client, "caBundle")).value_or("");
      }
    }
  }
  return kube::Decoded<WebhookConfiguration>{std::move(parsed->second), std::move(record)};
}

std::string encode_secret(const kube::ObjectKey& key, const certs::Stored& stored) {
  Json data = Json::object();
  for (const auto& [name, content] : certs::encode(stored)) {
    data[name] = kube::encode_base64(content);
  }
  const Json object{{"apiVersion", "v1"},
                    {"kind", "Secret"},
                    {"type", "kubernetes.io/tls"},
                    {"metadata",
                     {{"name", key.name},
                      {"namespace", key.ns},
                      {"labels", {{std::string(kManagedByLabel), kManagedBy}}}}},
                    {"data", std::move(data)}};
  return object.dump();
}

std::string encode_secret_patch(const kube::ObjectMeta& meta, const certs::Stored& before,
                                const certs::Stored& after) {
  Json data = Json::object();
  for (const auto& [name, content] : certs::encode(before)) data[name] = nullptr;
  for (const auto& [name, content] : certs::encode(after))
    data[name] = kube::encode_base64(content);
  const Json patch{{"metadata", {{"uid", meta.uid}, {"resourceVersion", meta.resource_version}}},
                   {"data", std::move(data)}};
  return patch.dump();
}

std::string encode_ca_bundle(const kube::ResourceType& type, const kube::ObjectMeta& meta,
                             const WebhookConfiguration& configuration, const std::string& bundle) {
  Json hooks = Json::array();
  for (const WebhookConfiguration::Hook& hook : configuration.hooks) {
    hooks.push_back(
        {{"name", hook.name}, {"clientConfig", {{"caBundle", kube::encode_base64(bundle)}}}});
  }
  const Json object{{"apiVersion", type.api_version()},
                    {"kind", type.kind},
                    {"metadata", {{"name", meta.key.name}, {"uid", meta.uid}}},
                    {"webhooks", std::move(hooks)}};
  return object.dump();
}

}  // namespace gobuildenv::controllers
