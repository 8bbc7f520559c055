#include "webhooks/validating/gobuildenv.hpp"

#include <algorithm>

#include "crds/gobuildenv.hpp"
#include "goenv/validate.hpp"
#include "webhooks/pod/changes.hpp"

namespace gobuildenv::webhooks {
namespace {

/// Beyond this many the message stops being read; the causes still hold all of them.
constexpr std::size_t kShownErrors = 20;

AdmissionResponse deny(const Review& review, const crds::Errors& errors) {
  AdmissionResponse response;
  response.allowed = false;
  response.code = 422;
  response.reason = "Invalid";
  const crds::Errors shown(errors.begin(), errors.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                                errors.size(), kShownErrors)));
  response.message = "GoBuildEnv " + std::string(review.name()) + " is invalid: ";
  if (errors.size() > 1) {
    response.message += std::to_string(errors.size()) + " fields have to be corrected:\n";
  }
  response.message += crds::describe(shown);
  if (shown.size() < errors.size()) response.message += "\n...";
  for (const goenv::FieldError& error : errors) {
    response.causes.push_back({error.field, error.message});
  }
  response.audit_annotations.emplace_back("result", "denied");
  return response;
}

/// Whether an UPDATE leaves the spec as it was: byte for byte, or in another order or spelling.
bool same_spec(const crds::GoBuildEnv& object, const std::string& object_json,
               const std::string& old_json) {
  const auto now = crds::summarize(object_json);
  const auto before = crds::summarize(old_json);
  if (!now || !before) return false;
  if (now->spec_json == before->spec_json) return true;
  const auto old_spec = crds::decode_spec(before->spec_json);
  return old_spec && crds::encode_spec(*old_spec) == crds::encode_spec(object.spec);
}

/// The same question for a spec that does not even decode.
bool same_text(const std::string& object_json, const std::string& old_json) {
  const auto now = crds::summarize(object_json);
  const auto before = crds::summarize(old_json);
  return now && before && now->spec_json == before->spec_json;
}

}  // namespace

AdmissionResponse validate(const Review& review) {
  AdmissionResponse response;
  const bool writes = review.operation() == "CREATE" || review.operation() == "UPDATE";
  if (!writes || review.group() != crds::kGroup || review.resource() != crds::kPlural ||
      !review.sub_resource().empty() || !review.has_object()) {
    return response;
  }
  const std::string object_json = review.object_json();
  const std::string old_json = review.old_object_json();
  const auto object = crds::decode(object_json);
  if (!object) {
    if (!old_json.empty() && same_text(object_json, old_json)) return response;
    return deny(review, object.error());
  }
  if (!object->metadata.deletion_timestamp.empty()) return response;
  if (!old_json.empty() && same_spec(*object, object_json, old_json)) return response;

  const crds::Errors errors = goenv::validate(object->spec);
  if (!errors.empty()) return deny(review, errors);
  for (std::string& advice : goenv::advise(object->spec)) {
    response.warnings.push_back(as_warning(std::move(advice)));
  }
  response.audit_annotations.emplace_back("result", "allowed");
  return response;
}

}  // namespace gobuildenv::webhooks
