#include "controllers/gobuildenv/refusal.hpp"

#include <fmt/format.h>

#include "controllers/gobuildenv/records.hpp"

namespace gobuildenv::controllers {
namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// Told apart by the words of the API server's own admission and authorization, which have not
/// changed in years; whatever else refuses says so in words of its own.
std::string next_step(std::string_view reason) {
  if (has(reason, "quota")) return "raise the ResourceQuota or delete what it counts";
  if (has(reason, "cannot create resource") || has(reason, "cannot update resource") ||
      has(reason, "cannot patch resource")) {
    return "give the operator's ServiceAccount this permission";
  }
  return fmt::format("let what refuses it admit ConfigMaps labelled {}={}, or change the spec",
                     kManagedByLabel, kManagedBy);
}

/// The words that hold no digit: without counts, times and identifiers.
std::string without_figures(std::string_view text) {
  std::string out;
  std::string word;
  bool figure = false;
  const auto flush = [&] {
    if (!word.empty() && !figure) out.append(word).push_back(' ');
    word.clear();
    figure = false;
  };
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-') {
      word.push_back(c);
      figure = figure || digit;
    } else {
      flush();
    }
  }
  flush();
  return out;
}

}  // namespace

std::string describe_refusal(std::string_view config_map, std::string_view reason,
                             const crds::Condition* before) {
  const std::string head = fmt::format("the API server refuses ConfigMap {}: ", config_map);
  std::string text =
      fmt::format("{}{}; {}: it is tried again every 5 minutes", head, reason, next_step(reason));
  if (before != nullptr && before->reason == kConfigMapRefused &&
      before->message.starts_with(head) &&
      without_figures(before->message) == without_figures(text)) {
    return before->message;
  }
  return text;
}

}  // namespace gobuildenv::controllers
