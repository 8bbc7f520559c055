#include "webhooks/handlers.hpp"

#include "webhooks/pod/json_text.hpp"
#include "webhooks/validating/gobuildenv.hpp"

namespace gobuildenv::webhooks {
namespace {

/// Parses, lets `decide` answer, encodes.
template <typename Decide>
server::Answer answer(std::string_view body, const DecisionSink& sink, Decide decide) {
  auto review = Review::parse(body);
  if (!review) {
    std::string text = "{";
    append_member(text, "error", review.error().message);
    return {review.error().status, text + "}\n"};
  }
  const AdmissionResponse response = decide(*review);
  if (sink) sink(*review, response);
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
