#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "webhooks/pod/pod_view.hpp"

/// The wire form of admission.k8s.io/v1: AdmissionReview in, AdmissionReview out.
namespace gobuildenv::webhooks {

/// A body that is no AdmissionReview: the HTTP status to answer and a sentence for the log.
struct ReviewError {
  int status = 400;
  std::string message;
};

/// A body longer than this is refused with 413; etcd's objects end at 1.5 MiB, an UPDATE carries
/// two.
inline constexpr std::size_t kMaxReviewBytes = std::size_t{7} << 20;

struct Part;

/// One parsed request. All views live as long as the Review.
class Review {
 public:
  /// Parses `body`. Errors: 413 too long, 400 anything that is no AdmissionReview v1 with a uid:
  /// not JSON, not UTF-8, nested too deeply, of another version, fields of a wrong type.
  static tl::expected<Review, ReviewError> parse(std::string_view body);
  Review(Review&&) noexcept;
  Review& operator=(Review&&) noexcept;
  ~Review();

  std::string_view uid() const { return uid_; }
  std::string_view ns() const { return namespace_; }
  std::string_view name() const { return name_; }
  std::string_view operation() const { return operation_; }
  std::string_view group() const { return group_; }
  std::string_view resource() const { return resource_; }
  std::string_view sub_resource() const { return sub_resource_; }
  std::string_view user() const { return user_; }
  bool dry_run() const { return dry_run_; }

  bool has_object() const;
  /// request.object as a pod.
  PodView pod() const;
  /// Checks a patch against request.object, see verify_patch().
  std::string verify(std::string_view patch) const;
  /// Minified JSON of request.object and request.oldObject; empty when absent or null.
  std::string object_json() const;
  std::string old_object_json() const;

 private:
  struct Document;
  explicit Review(std::unique_ptr<Document> document);
  const char* read_member(std::string_view key, const Part& member);

  std::unique_ptr<Document> document_;
  std::string_view uid_;
  std::string_view namespace_;
  std::string_view name_;
  std::string_view operation_;
  std::string_view group_;
  std::string_view resource_;
  std::string_view sub_resource_;
  std::string_view user_;
  bool dry_run_ = false;
};

/// One entry of status.details.causes.
struct Cause {
  std::string field;
  std::string message;
};

struct AdmissionResponse {
  bool allowed = true;
  /// No answer is given after all, so that the webhook's failurePolicy decides.
  bool unanswered = false;
  int code = 0;         ///< of status when denied, e.g. 403
  std::string reason;   ///< of status, metav1.StatusReason, e.g. "Forbidden"
  std::string message;  ///< of status
  std::vector<Cause> causes;
  std::string patch;                  ///< JSONPatch; empty: none
  std::vector<std::string> warnings;  ///< each at most 120 characters
  /// The API server puts the webhook's name before each key.
  std::vector<std::pair<std::string, std::string>> audit_annotations;
};

/// The AdmissionReview that answers the request `uid`.
std::string encode(const AdmissionResponse& response, std::string_view uid);

}  // namespace gobuildenv::webhooks
