#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controllers/gobuildenv/decide.hpp"

namespace gobuildenv::controllers {

struct Retention {
  std::vector<crds::RevisionRecord> history;  ///< what status.history is to be
  std::vector<DeleteConfigMap> deletes;
  std::optional<std::int64_t> recheck;  ///< seconds until a revision kept for its age is due
};

/// Which superseded revisions stay: the `history_limit` newest, every one that an unfinished pod
/// names (it may not have mounted it yet), and each for `keep_superseded` seconds, because a pod
/// bound at admission is not in our cache at once. `next` holds the revision that serves; tampered
/// ones are the caller's business and leave the history.
Retention decide_retention(const EnvironmentFacts& facts, const crds::Status& next,
                           std::int64_t keep_superseded);

}  // namespace gobuildenv::controllers
