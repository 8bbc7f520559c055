#include "controllers/serving/selector.hpp"

#include <algorithm>

namespace gobuildenv::controllers {
namespace {

bool satisfied(const goenv::SelectorRequirement& term, const webhooks::Labels& labels) {
  const auto label = labels.find(term.key);
  const bool present = label != labels.end();
  const auto listed = [&] {
    return std::find(term.values.begin(), term.values.end(), label->second) != term.values.end();
  };
  if (term.op == "In") return present && listed();
  if (term.op == "NotIn") return !present || !listed();
  if (term.op == "Exists") return present;
  if (term.op == "DoesNotExist") return !present;
  return false;
}

}  // namespace

bool selects(const goenv::PodSelector& selector, const webhooks::Labels& labels) {
  for (const auto& [key, value] : selector.match_labels) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  return std::all_of(selector.match_expressions.begin(), selector.match_expressions.end(),
                     [&](const auto& term) { return satisfied(term, labels); });
}

}  // namespace gobuildenv::controllers
