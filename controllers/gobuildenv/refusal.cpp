#include "controllers/gobuildenv/refusal.hpp"

#include <fmt/format.h>

#include "controllers/gobuildenv/records.hpp"

namespace gobuildenv::controllers {
namespace {

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

constexpr std::string_view kGrant = "give the operator's ServiceAccount this permission";

bool is_permission(std::string_view words) {
  return has(words, "cannot create resource") || has(words, "cannot update resource") ||
         has(words, "cannot patch resource");
}

/// Told apart by the words of the API server's own admission and authorization, which have not
/// changed in years; whatever else refuses says so in words of its own.
std::string next_step(const Refusal& refusal) {
  const std::string_view reason = refusal.message;
  if (refusal.failed) {
    return has(reason, "webhook")
               ? fmt::format("mend that webhook or let it leave out ConfigMaps labelled {}={}",
                             kManagedByLabel, kManagedBy)
               : "the API server's log may say more";
  }
  if (has(reason, "quota")) return "raise the ResourceQuota or delete what it counts";
  if (is_permission(reason)) return std::string(kGrant);
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

/// The webhook that the API server's words name; empty: none.
std::string_view webhook_in(std::string_view text) {
  constexpr std::string_view kIntroduction = "webhook \"";
  const std::size_t at = text.find(kIntroduction);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + kIntroduction.size());
  return text.substr(0, text.find('"'));
}

/// Whether `text` is no news to who has read `told`.
bool says_the_same(const Refusal& refusal, std::string_view told, std::string_view text) {
  if (!refusal.failed) return without_figures(told) == without_figures(text);
  const std::string_view webhook = webhook_in(text);
  return webhook.empty() || webhook == webhook_in(told);
}

}  // namespace

std::string describe_refusal(std::string_view config_map, const Refusal& refusal,
                             const crds::Condition* before) {
  const std::string head = refusal.failed
                               ? fmt::format("ConfigMap {} cannot be written: ", config_map)
                               : fmt::format("the API server refuses ConfigMap {}: ", config_map);
  std::string text = fmt::format("{}{}; {}: it is tried again every 5 minutes", head,
                                 refusal.message, next_step(refusal));
  if (before != nullptr && before->reason == refusal.reason() &&
      before->message.starts_with(head) && says_the_same(refusal, before->message, text)) {
    return before->message;
  }
  return text;
}

std::string describe_refused_status(std::string_view words) {
  return fmt::format("the API server refuses the status: {}; {}: it is tried again every 5 minutes",
                     words,
                     is_permission(words)
                         ? kGrant
                         : "let what refuses it admit the operator's writes of gobuildenvs/status");
}

}  // namespace gobuildenv::controllers
