#pragma once

#include <functional>
#include <string_view>

#include "webhooks/environments.hpp"
#include "webhooks/pod/decide.hpp"
#include "webhooks/server/server.hpp"

/// The webhooks as the server's handlers: body in, body out.
namespace gobuildenv::webhooks {

inline constexpr std::string_view kMutatePodsPath = "/mutate-pods";
inline constexpr std::string_view kValidateGoBuildEnvsPath = "/validate-gobuildenvs";

/// Told of every answered review, on the server's thread; the place for decision logs and metrics.
using DecisionSink = std::function<void(const Review&, const AdmissionResponse&)>;

/// Answers pod reviews, with 503 where nothing but the webhook's failurePolicy can. `lookup` must
/// outlive the handler; `sink` may be empty.
server::Handler make_pod_handler(const EnvironmentLookup& lookup, PodWebhookOptions options,
                                 DecisionSink sink);

/// Answers reviews of GoBuildEnvs.
server::Handler make_gobuildenv_handler(DecisionSink sink);

}  // namespace gobuildenv::webhooks
