#include "webhooks/review.hpp"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "webhooks/pod/json_text.hpp"
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

/// Reads a string member that may be absent or null. False when it is something else.
bool read_text(const object& members, std::string_view key, std::string_view& out) {
  element value;
  if (members.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return true;
  return value.get_string().get(out) == simdjson::SUCCESS;
}

/// Reads an object member that may be absent or null. False when it is something else.
bool read_object(const object& members, std::string_view key, object& out, bool& present) {
  element value;
  present = false;
  if (members.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return true;
  present = value.get_object().get(out) == simdjson::SUCCESS;
  return present;
}

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
  element pod;
  element old_object;
  bool has_object = false;
  bool has_old_object = false;
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
  if (!read_text(members, "apiVersion", api_version) || api_version != "admission.k8s.io/v1" ||
      !read_text(members, "kind", kind) || kind != "AdmissionReview") {
    return bad("the body is not an AdmissionReview of admission.k8s.io/v1");
  }
  object request;
  bool present = false;
  if (!read_object(members, "request", request, present) || !present) {
    return bad("request is missing or not an object");
  }
  if (!read_text(request, "uid", review.uid_) || review.uid_.empty()) {
    return bad("request.uid is missing or not a string");
  }
  if (!read_text(request, "namespace", review.namespace_) ||
      !read_text(request, "name", review.name_) ||
      !read_text(request, "operation", review.operation_) ||
      !read_text(request, "subResource", review.sub_resource_)) {
    return bad("request.namespace, name, operation or subResource is not a string");
  }
  object resource;
  if (!read_object(request, "resource", resource, present)) {
    return bad("request.resource is not an object");
  }
  if (present && (!read_text(resource, "group", review.group_) ||
                  !read_text(resource, "resource", review.resource_))) {
    return bad("request.resource.group or resource is not a string");
  }
  object user;
  if (!read_object(request, "userInfo", user, present)) {
    return bad("request.userInfo is not an object");
  }
  if (present && !read_text(user, "username", review.user_)) {
    return bad("request.userInfo.username is not a string");
  }
  element dry_run;
  if (request.at_key("dryRun").get(dry_run) == simdjson::SUCCESS && !dry_run.is_null() &&
      dry_run.get_bool().get(review.dry_run_) != simdjson::SUCCESS) {
    return bad("request.dryRun is not a boolean");
  }
  object ignored;
  if (!read_object(request, "object", ignored, document.has_object)) {
    return bad("request.object is not an object");
  }
  if (document.has_object) document.pod = request.at_key("object").value_unsafe();
  if (!read_object(request, "oldObject", ignored, document.has_old_object)) {
    return bad("request.oldObject is not an object");
  }
  if (document.has_old_object) document.old_object = request.at_key("oldObject").value_unsafe();
  return review;
}

bool Review::has_object() const { return document_->has_object; }

PodView Review::pod() const { return document_->has_object ? read_pod(document_->pod) : PodView{}; }

std::string Review::verify(std::string_view patch) const {
  return document_->has_object ? verify_patch(document_->pod, patch, {}) : "there is no object";
}

std::string Review::object_json() const {
  return document_->has_object ? simdjson::minify(document_->pod) : std::string{};
}

std::string Review::old_object_json() const {
  return document_->has_old_object ? simdjson::minify(document_->old_object) : std::string{};
}

namespace {

/// Two characters of base64 (RFC 4648) for each twelve bits: a fifth of the instructions that
/// OpenSSL's encoder takes, which was an eighth of a whole review.
constexpr auto kBase64Pairs = [] {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::array<char, 2>, 4096> pairs{};
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i] = {kAlphabet[i >> 6U], kAlphabet[i & 63U]};
  }
  return pairs;
}();

void append_base64(std::string& out, std::string_view text) {
  const std::size_t begin = out.size();
  out.resize(begin + (text.size() + 2) / 3 * 4, '=');
  char* to = out.data() + begin;
  const auto byte = [text](std::size_t i) {
    return std::uint32_t{static_cast<unsigned char>(text[i])};
  };
  const auto put = [](char* at, std::uint64_t twelve_bits) {
    std::memcpy(at, kBase64Pairs[twelve_bits & 0xFFFU].data(), 2);
  };
  std::size_t i = 0;
  if constexpr (std::endian::native == std::endian::little) {
    // Six bytes at a time, of the eight that are read.
    for (; i + sizeof(std::uint64_t) <= text.size(); i += 6, to += 8) {
      std::uint64_t bits = 0;
      std::memcpy(&bits, text.data() + i, sizeof bits);
      bits = __builtin_bswap64(bits);
      put(to, bits >> 52U);
      put(to + 2, bits >> 40U);
      put(to + 4, bits >> 28U);
      put(to + 6, bits >> 16U);
    }
  }
  for (; i + 3 <= text.size(); i += 3, to += 4) {
    const std::uint32_t bits = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    put(to, bits >> 12U);
    put(to + 2, bits);
  }
  if (text.size() - i == 1) put(to, byte(i) << 4U);
  if (text.size() - i == 2) {
    put(to, byte(i) << 4U | byte(i + 1) >> 4U);
    to[2] = kBase64Pairs[(byte(i + 1) & 0xFU) << 8U][0];
  }
}

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
