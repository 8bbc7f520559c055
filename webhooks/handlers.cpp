#include "webhooks/handlers.hpp"

#include "webhooks/pod/json_text.hpp"
#include "webhooks/validating/gobuildenv.hpp"

namespace gobuildenv::webhooks {
namespace {

server::Answer failure(int status, std::string_view message) {
  std::string text = "{";
  append_member(text, "error", message);
  return {status, text + "}\n"};
}

/// Parses, lets `decide` answer, encodes.
template <typename Decide>
server::Answer answer(std::string_view body, const DecisionSink& sink, Decide decide) {
  auto review = Review::parse(body);
  if (!review) return failure(review.error().status, review.error().message);
  const AdmissionResponse response = decide(*review);
  if (sink) sink(*review, response);
  if (response.unanswered) return failure(503, response.warnings.front());
  return {200, encode(response, review->uid())};
}

}  // namespace

server::Handler make_pod_handler(const EnvironmentLookup& lookup, PodWebhookOptions options,
                                 DecisionSink sink) {
  return [&lookup, options = std::move(options), sink = std::move(sink)](std::string_view body) {
    return answer(body, sink,
                  [&](const Review& review) { return decide(review, lookup, options); });
  };
}

server::Handler make_gobuildenv_handler(DecisionSink sink) {
  return [sink = std::move(sink)](std::string_view body) {
    return answer(body, sink, [](const Review& review) { return validate(review); });
  };
}

}  // namespace gobuildenv::webhooks
