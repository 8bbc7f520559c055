#include "controllers/certificates/controller.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "controllers/outcome.hpp"

namespace gobuildenv::controllers {

namespace certs = webhooks::certificates;
using kube::ReconcileResult;

namespace {

/// Steps in one pass; more means that somebody writes against us.
constexpr int kMaxSteps = 8;
/// Clocks jump and objects are edited by hand: looked at this often in any case. Costs no request.
constexpr std::chrono::hours kMaxRecheck{1};

}  // namespace

CertificateController::CertificateController(Sources sources, kube::Clock& clock,
                                             CertificateOptions options)
    : sources_(sources), clock_(clock), options_(std::move(options)) {}

std::vector<std::string> CertificateController::bundles() const {
  std::vector<std::string> out;
  for (const auto* informer : {&sources_.mutating, &sources_.validating}) {
    for (const auto& configuration : informer->list()) {
      for (const auto& hook : configuration->hooks) out.push_back(hook.ca_bundle);
    }
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

certs::Observed CertificateController::observe() {
  certs::Observed observed;
  observed.now = clock_.wall_now();
  if (const auto secret = sources_.secret.get(options_.secret)) observed.stored = secret->stored;
  observed.published = bundles();
  if (!bundles_since_ || observed.published != last_bundles_) {
    last_bundles_ = observed.published;
    bundles_since_ = observed.now;
  }
  observed.published_since = bundles_since_;
  return observed;
}

ReconcileResult CertificateController::reconcile(const kube::ObjectKey&) {
  for (int steps = 0; steps < kMaxSteps; ++steps) {
    const auto secret = sources_.secret.get(options_.secret);
    if (secret && secret->foreign()) {
      return ReconcileResult::final("Secret " + options_.secret.ns + "/" + options_.secret.name +
                                    " holds a certificate of somebody else's: start with "
                                    "--cert-external to serve it, name another Secret with "
                                    "--cert-secret, or delete this one");
    }
    const certs::Observed observed = observe();
    const certs::Decision decision = certs::decide(observed, options_.rotation);
    if (decision.step == certs::Step::None) {
      const auto wait = std::clamp<std::chrono::system_clock::duration>(
          decision.recheck - observed.now, std::chrono::seconds(1), kMaxRecheck);
      return ReconcileResult::requeue_after(wait);
    }
    spdlog::info("rotating certificates step={} reason=\"{}\"", certs::to_string(decision.step),
                 decision.reason);
    auto end = decision.step == certs::Step::Publish ? publish(decision.bundle)
                                                     : write_secret(decision.step, observed);
    if (end) return *end;
    if (!sources_.secret.caught_up(options_.secret)) break;
  }
  return ReconcileResult::requeue_after(std::chrono::seconds(1));
}

CertificateController::Outcome CertificateController::write_secret(
    certs::Step step, const certs::Observed& observed) {
  auto next = certs::advance(step, observed.stored, observed.now, options_.rotation);
  if (!next) return ReconcileResult::retry("cannot make certificates: " + next.error());
  const auto current = sources_.secret.find(options_.secret);
  auto written =
      current
          ? sources_.client.patch(kSecretType, options_.secret,
                                  encode_secret_patch(current->meta, current->value->stored, *next),
                                  "application/merge-patch+json", "", deadline())
          : sources_.client.create(kSecretType, options_.secret.ns,
                                   encode_secret(options_.secret, *next), deadline());
  if (!written && written.error().kind == kube::Error::Kind::AlreadyExists) {
    // Made by another replica, or by a chart: what it holds counts.
    written = sources_.client.get(kSecretType, options_.secret, deadline());
  }
  if (!written) return outcome(written.error());
  sources_.secret.observe_write(*written);
  return std::nullopt;
}

CertificateController::Outcome CertificateController::publish(const std::string& bundle) {
  if (auto end = publish(kMutatingWebhookType, sources_.mutating, bundle)) return end;
  return publish(kValidatingWebhookType, sources_.validating, bundle);
}

CertificateController::Outcome CertificateController::publish(
    const kube::ResourceType& type, kube::Informer<WebhookConfiguration>& informer,
    const std::string& bundle) {
  for (const auto& item : informer.items()) {
    const auto& hooks = item.value->hooks;
    if (std::all_of(hooks.begin(), hooks.end(),
                    [&](const auto& hook) { return hook.ca_bundle == bundle; })) {
      continue;
    }
    auto written = sources_.client.apply(
        type, item.meta.key, encode_ca_bundle(type, item.meta, *item.value, bundle),
        {.field_manager = kCaBundleManager, .force = true, .subresource = {}}, deadline());
    if (!written) return outcome(written.error());
    informer.observe_write(*written);
  }
  return std::nullopt;
}

bool CertificateController::published() const {
  const auto secret = sources_.secret.get(options_.secret);
  const std::vector<std::string> published = bundles();
  if (!secret) return published.empty();
  const std::vector<std::string> trusted = certs::fingerprints(secret->stored.ca.certificate);
  return !trusted.empty() && std::all_of(published.begin(), published.end(), [&](const auto& text) {
    const std::vector<std::string> have = certs::fingerprints(text);
    return std::find(have.begin(), have.end(), trusted.front()) != have.end();
  });
}

}  // namespace gobuildenv::controllers
