#include "agent/node/promotion_reporter.hpp"

#include <spdlog/spdlog.h>

namespace gobuildenv::agent {
namespace {

using Kind = PromotionResult::Kind;

const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::Published:
      return "published";
    case Kind::NothingNew:
      return "nothing-new";
    case Kind::NotTrusted:
      return "not-trusted";
    case Kind::Failed:
      break;
  }
  return "failed";
}

}  // namespace

PromotionReporter::PromotionReporter(kube::Metrics& metrics)
    : refused_(metrics.counter("gobuildenv_cache_refused_entries_total",
                               "Modules and build entries of trusted pods that failed a check.")) {
  for (std::size_t i = 0; i < kKinds; ++i) {
    ended_[i] =
        metrics.counter("gobuildenv_cache_promotions_total",
                        "Caches of pods that were to become part of a shared one, by outcome.",
                        {{"result", name_of(static_cast<Kind>(i))}});
  }
}

void PromotionReporter::report(const PromotionResult& result) const {
  const VolumeRecord& record = result.record;
  const TakeReport& counts = result.promotion.report;
  ended_.at(static_cast<std::size_t>(result.kind)).add();
  refused_.add(static_cast<double>(counts.refused));
  if (result.kind == Kind::Failed) {
    spdlog::warn("cache of a trusted pod is lost pod={}/{} volume={} cache={} error=\"{}\"",
                 record.pod.ns, record.pod.name, record.volume_id, record.cache, result.why);
  } else if (result.kind == Kind::NotTrusted) {
    spdlog::info("cache of a pod is not taken over pod={}/{} volume={} cache={} why=\"{}\"",
                 record.pod.ns, record.pod.name, record.volume_id, record.cache, result.why);
  } else if (!result.along_with.empty()) {
    spdlog::info(
        "cache of a trusted pod taken over with another one pod={}/{} volume={} cache={} layer={} "
        "with={}",
        record.pod.ns, record.pod.name, record.volume_id, record.cache, result.promotion.layer,
        result.along_with);
  } else {
    spdlog::info(
        "cache of a trusted pod taken over pod={}/{} volume={} cache={} layer={} taken={} kept={} "
        "dropped={} refused={} bytes={}",
        record.pod.ns, record.pod.name, record.volume_id, record.cache, result.promotion.layer,
        counts.taken, counts.kept, counts.dropped, counts.refused, counts.bytes);
  }
  if (counts.refused > 0) {
    spdlog::warn("part of a trusted pod's cache was refused pod={}/{} volume={} first=\"{}\"",
                 record.pod.ns, record.pod.name, record.volume_id, counts.first_refusal);
  }
}

}  // namespace gobuildenv::agent
