#include "webhooks/certificates/rotation.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace gobuildenv::webhooks::certificates {
namespace {

constexpr std::array<std::pair<const char*, std::string KeyPair::*>, 2> kParts{
    {{".crt", &KeyPair::certificate}, {".key", &KeyPair::private_key}}};
constexpr std::array<std::pair<const char*, KeyPair Stored::*>, 3> kPairs{
    {{"tls", &Stored::leaf}, {"ca", &Stored::ca}, {"next-ca", &Stored::next_ca}}};
constexpr const char* kPreviousKey = "previous-ca.crt";

/// When a third of the lifetime is left.
TimePoint renewal(const CertificateInfo& info) {
  return info.not_after - (info.not_after - info.not_before) / 3;
}

/// The time of issue, before which not_before was put.
TimePoint issued(const CertificateInfo& info) { return info.not_before + kBackdate; }

bool names_match(const CertificateInfo& info, const RotationOptions& options) {
  const std::set<std::string> have(info.dns_names.begin(), info.dns_names.end());
  return std::all_of(options.dns_names.begin(), options.dns_names.end(),
                     [&have](const std::string& name) { return have.contains(name); });
}

/// Whether every published bundle holds every certificate of `bundle` and, when `exactly`, no more.
bool is_published(const std::vector<std::string>& published, const std::string& bundle,
                  bool exactly) {
  const std::vector<std::string> wanted = fingerprints(bundle);
  const std::set<std::string> want(wanted.begin(), wanted.end());
  return std::all_of(published.begin(), published.end(), [&](const std::string& text) {
    const std::vector<std::string> found = fingerprints(text);
    const std::set<std::string> have(found.begin(), found.end());
    return exactly ? have == want
                   : std::includes(have.begin(), have.end(), want.begin(), want.end());
  });
}

Issue ca_issue(TimePoint now, const RotationOptions& options) {
  return {now, options.ca_lifetime, "gobuildenv-webhook-ca", {}, {}};
}

Issue leaf_issue(TimePoint now, const RotationOptions& options) {
  return {now, options.leaf_lifetime,
          options.dns_names.empty() ? "gobuildenv-webhook" : options.dns_names.front(),
          options.dns_names, options.ip_addresses};
}

/// What is stored, inspected.
struct Facts {
  tl::expected<CertificateInfo, std::string> ca;
  tl::expected<CertificateInfo, std::string> next_ca;
  tl::expected<CertificateInfo, std::string> leaf;
};

}  // namespace

std::map<std::string, std::string> encode(const Stored& stored) {
  std::map<std::string, std::string> data;
  for (const auto& [name, pair] : kPairs) {
    for (const auto& [suffix, part] : kParts) {
      const std::string& text = stored.*pair.*part;
      if (!text.empty()) data[std::string(name) + suffix] = text;
    }
  }
  if (!stored.previous_ca.empty()) data[kPreviousKey] = stored.previous_ca;
  return data;
}

Stored decode(const std::map<std::string, std::string>& data) {
  const auto get = [&data](const std::string& key) {
    const auto found = data.find(key);
    return found == data.end() ? std::string{} : found->second;
  };
  Stored stored;
  for (const auto& [name, pair] : kPairs) {
    for (const auto& [suffix, part] : kParts) {
      stored.*pair.*part = get(std::string(name) + suffix);
    }
  }
  stored.previous_ca = get(kPreviousKey);
  return stored;
}

std::vector<std::string> service_names(const std::string& name, const std::string& ns) {
  return {name + "." + ns + ".svc", name + "." + ns + ".svc.cluster.local", name + "." + ns, name};
}

std::string bundle(const Stored& stored) {
  return stored.ca.certificate + stored.next_ca.certificate + stored.previous_ca;
}

const char* to_string(Step step) {
  switch (step) {
    case Step::None:
      return "none";
    case Step::CreateAll:
      return "create-all";
    case Step::StageCa:
      return "stage-ca";
    case Step::SwitchCa:
      return "switch-ca";
    case Step::RenewLeaf:
      return "renew-leaf";
    case Step::DropOldCa:
      return "drop-old-ca";
    case Step::Publish:
      return "publish";
  }
  return "unknown";
}

Decision decide(const Observed& observed, const RotationOptions& options) {
  const TimePoint now = observed.now;
  if (!observed.stored) return {Step::CreateAll, "no certificate is stored", {}, now};
  const Stored& stored = *observed.stored;
  const Facts facts{check_pair(stored.ca), check_pair(stored.next_ca), check_pair(stored.leaf)};

  if (!facts.ca) return {Step::CreateAll, "the CA cannot be used: " + facts.ca.error(), {}, now};
  if (!facts.ca->is_ca) return {Step::CreateAll, "the stored CA is not a CA", {}, now};
  if (facts.ca->not_after <= now) return {Step::CreateAll, "the CA has expired", {}, now};

  Decision decision{Step::None, {}, bundle(stored), facts.ca->not_after};
  const auto wait_until = [&decision](TimePoint when) {
    decision.recheck = std::min(decision.recheck, when);
  };
  const auto step = [&decision, now](Step next, std::string reason) {
    decision.step = next;
    decision.reason = std::move(reason);
    decision.recheck = now;
    return decision;
  };

  if (!facts.leaf || facts.leaf->not_after <= now ||
      !signed_by(stored.leaf.certificate, stored.ca.certificate)) {
    return step(Step::RenewLeaf, facts.leaf ? "the leaf has expired or is not the CA's"
                                            : "the leaf cannot be used: " + facts.leaf.error());
  }
  // Text that is no certificate would make the API server refuse the whole bundle.
  if (!stored.next_ca.empty() &&
      (!facts.next_ca || !facts.next_ca->is_ca || facts.next_ca->not_after <= now)) {
    return step(Step::StageCa, "the next CA cannot be used");
  }
  if (!stored.previous_ca.empty() && !inspect(stored.previous_ca)) {
    return step(Step::DropOldCa, "the previous CA cannot be read");
  }
  // First trust, then use: a bundle that lacks the serving CA fails every request.
  if (!is_published(observed.published, decision.bundle, true)) {
    return step(Step::Publish, "caBundle differs from what is stored");
  }
  if (!names_match(*facts.leaf, options)) {
    return step(Step::RenewLeaf, "the leaf lacks a name of the Service");
  }
  if (renewal(*facts.leaf) <= now) {
    return step(Step::RenewLeaf, "a third of the leaf's lifetime is left");
  }
  wait_until(renewal(*facts.leaf));

  if (facts.next_ca) {
    const TimePoint since =
        std::max(issued(*facts.next_ca), observed.published_since.value_or(now));
    if (since + options.settle <= now) {
      return step(Step::SwitchCa, "every API server has the next CA");
    }
    wait_until(since + options.settle);
    return decision;
  }
  if (!stored.previous_ca.empty()) {
    // Every replica watches the Secret; by now all of them serve the new CA's leaf.
    const TimePoint drop = issued(*facts.leaf) + options.settle;
    if (drop <= now) return step(Step::DropOldCa, "every replica serves the new CA's leaf");
    wait_until(drop);
    return decision;
  }
  if (renewal(*facts.ca) <= now) return step(Step::StageCa, "a third of the CA's lifetime is left");
  wait_until(renewal(*facts.ca));
  return decision;
}

tl::expected<Stored, std::string> advance(Step step, const std::optional<Stored>& stored,
                                          TimePoint now, const RotationOptions& options) {
  Stored next = stored.value_or(Stored{});
  switch (step) {
    case Step::None:
    case Step::Publish:
      return tl::unexpected(std::string("step ") + to_string(step) + " does not write the Secret");
    case Step::CreateAll: {
      next = Stored{};
      auto ca = issue_ca(ca_issue(now, options));
      if (!ca) return tl::unexpected(ca.error());
      next.ca = std::move(*ca);
      break;
    }
    case Step::StageCa: {
      auto ca = issue_ca(ca_issue(now, options));
      if (!ca) return tl::unexpected(ca.error());
      next.next_ca = std::move(*ca);
      return next;
    }
    case Step::SwitchCa:
      next.previous_ca = next.ca.certificate;
      next.ca = std::move(next.next_ca);
      next.next_ca = KeyPair{};
      break;
    case Step::RenewLeaf:
      break;
    case Step::DropOldCa:
      next.previous_ca.clear();
      return next;
  }
  auto leaf = issue_leaf(leaf_issue(now, options), next.ca);
  if (!leaf) return tl::unexpected(leaf.error());
  next.leaf = std::move(*leaf);
  return next;
}

}  // namespace gobuildenv::webhooks::certificates
