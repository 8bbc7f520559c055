#include "webhooks/review.hpp"

#include "webhooks/base64.hpp"
#include "webhooks/pod/json_text.hpp"
#include "webhooks/pod/pod_parts.hpp"
#include "webhooks/pod/pod_reader.hpp"
#include "webhooks/pod/verify.hpp"

namespace gobuildenv::webhooks {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

/// Parsers keep their buffers, about ten bytes for each of the document: what one large review made
/// them grow to is given back.
constexpr std::size_t kKeepCapacity = std::size_t{256} << 10;
thread_local std::unique_ptr<simdjson::dom::parser> spare_parser;

tl::unexpected<ReviewError> bad(std::string message) {
  return tl::unexpected(ReviewError{400, std::move(message)});
}

constexpr const char* kText = "a string";
constexpr const char* kObject = "an object";

}  // namespace

struct Review::Document {
  Document()
      : parser(spare_parser ? std::move(spare_parser) : std::make_unique<simdjson::dom::parser>()) {
  }
  ~Document() {
    if (parser->capacity() <= kKeepCapacity) spare_parser = std::move(parser);
  }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  std::unique_ptr<simdjson::dom::parser> parser;
  Part object;
  Part old_object;
};

Review::Review(std::unique_ptr<Document> document) : document_(std::move(document)) {}
Review::Review(Review&&) noexcept = default;
Review& Review::operator=(Review&&) noexcept = default;
Review::~Review() = default;

tl::expected<Review, ReviewError> Review::parse(std::string_view body) {
  if (body.size() > kMaxReviewBytes) {
    return tl::unexpected(ReviewError{413, "the review is longer than 7 MiB"});
  }
  Review review(std::make_unique<Document>());
  Document& document = *review.document_;
  element root;
  const auto code = document.parser->parse(body.data(), body.size()).get(root);
  if (code != simdjson::SUCCESS) {
    return bad(std::string("the body is not JSON: ") + simdjson::error_message(code));
  }
  object members;
  if (root.get_object().get(members) != simdjson::SUCCESS) return bad("the body is not an object");
  std::string_view api_version;
  std::string_view kind;
  object request;
  bool has_request = false;
  for (const auto field : members) {
    if (field.key == "apiVersion") api_version = text_of(field.value);
    if (field.key == "kind") kind = text_of(field.value);
    if (field.key == "request") {
      has_request = field.value.get_object().get(request) == simdjson::SUCCESS;
    }
  }
  if (api_version != "admission.k8s.io/v1" || kind != "AdmissionReview") {
    return bad("the body is not an AdmissionReview of admission.k8s.io/v1");
  }
  if (!has_request) return bad("request is missing or not an object");
  for (const auto field : request) {
    if (field.value.is_null()) continue;  // as if absent
    if (const char* type = review.read_member(field.key, Part(field.value))) {
      return bad("request." + std::string(field.key) + " is not " + type);
    }
  }
  if (review.uid_.empty()) return bad("request.uid is missing or empty");
  return review;
}

/// Reads one member of the request. What it should have been when it is of a wrong type, else null.
const char* Review::read_member(std::string_view key, const Part& member) {
  const element value = member.value;
  std::string_view* text = key == "uid"           ? &uid_
                           : key == "name"        ? &name_
                           : key == "namespace"   ? &namespace_
                           : key == "operation"   ? &operation_
                           : key == "subResource" ? &sub_resource_
                                                  : nullptr;
  if (text != nullptr) return value.get_string().get(*text) == simdjson::SUCCESS ? nullptr : kText;
  if (key == "dryRun") {
    return value.get_bool().get(dry_run_) == simdjson::SUCCESS ? nullptr : "a boolean";
  }
  if (key == "object" || key == "oldObject") {
    if (!value.is_object()) return kObject;
    (key == "object" ? document_->object : document_->old_object) = member;
    return nullptr;
  }
  const bool is_user = key == "userInfo";
  if (!is_user && key != "resource") return nullptr;
  object members;
  if (value.get_object().get(members) != simdjson::SUCCESS) return kObject;
  for (const auto field : members) {
    text = is_user                   ? (field.key == "username" ? &user_ : nullptr)
           : field.key == "group"    ? &group_
           : field.key == "resource" ? &resource_
                                     : nullptr;
    if (text == nullptr || field.value.is_null()) continue;
    if (field.value.get_string().get(*text) != simdjson::SUCCESS) return "made of strings";
  }
  return nullptr;
}

bool Review::has_object() const { return document_->object.present; }

PodView Review::pod() const { return has_object() ? read_pod(document_->object.value) : PodView{}; }

std::string Review::verify(std::string_view patch) const {
  return has_object() ? verify_patch(document_->object.value, patch, {}) : "there is no object";
}

std::string Review::object_json() const {
  return has_object() ? simdjson::minify(document_->object.value) : std::string{};
}

std::string Review::old_object_json() const {
  const Part& old = document_->old_object;
  return old.present ? simdjson::minify(old.value) : std::string{};
}

namespace {

void append_status(std::string& out, const AdmissionResponse& response) {
  out += R"(,"status":{"status":"Failure")";
  append_member(out, "message", response.message);
  if (!response.reason.empty()) append_member(out, "reason", response.reason);
  if (response.code != 0) {
    append_key(out, "code");
    out += std::to_string(response.code);
  }
  if (!response.causes.empty()) {
    out += R"(,"details":{"causes":[)";
    for (std::size_t i = 0; i < response.causes.size(); ++i) {
      out += i == 0 ? "{" : ",{";
      append_member(out, "reason", "FieldValueInvalid");
      append_member(out, "message", response.causes[i].message);
      append_member(out, "field", response.causes[i].field);
      out += '}';
    }
    out += "]}";
  }
  out += '}';
}

}  // namespace

std::string encode(const AdmissionResponse& response, std::string_view uid) {
  std::string out;
  out.reserve(512 + response.patch.size() / 3 * 4);
  out += R"({"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":)";
  append_json_string(out, uid);
  out += response.allowed ? R"(,"allowed":true)" : R"(,"allowed":false)";
  if (!response.allowed) append_status(out, response);
  if (!response.patch.empty() && response.allowed) {
    out += R"(,"patchType":"JSONPatch","patch":")";
    append_base64(out, response.patch);
    out += '"';
  }
  if (!response.warnings.empty()) {
    out += R"(,"warnings":[)";
    for (std::size_t i = 0; i < response.warnings.size(); ++i) {
      if (i != 0) out += ',';
      append_json_string(out, response.warnings[i]);
    }
    out += ']';
  }
  if (!response.audit_annotations.empty()) {
    out += R"(,"auditAnnotations":{)";
    for (const auto& [key, value] : response.audit_annotations) append_member(out, key, value);
    out += '}';
  }
  out += "}}";
  return out;
}

}  // namespace gobuildenv::webhooks
