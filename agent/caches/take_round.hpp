#pragma once

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "agent/caches/take.hpp"

namespace gobuildenv::agent {

/// The frame of making a layer: list the base and the uppers, drop what is known, take what is new,
/// keep of the base what there is room for. `Items` maps names to what there is of them, which has
/// `modified`: when it came into the base.
template <class Items>
class TakeRound {
 public:
  virtual ~TakeRound() = default;

  tl::expected<TakeReport, TakeError> run() {
    if (in_.base != nullptr) {
      const auto error = list(*in_.base, old_, false);
      // One that has too much, from when more was allowed, gives what was read.
      if (error && error != std::errc::value_too_large) {
        return take_error("read", "the layer below", error);
      }
    }
    for (const Fd& upper : in_.uppers) {
      // A pod's cache that cannot be read, or that has too much, gives what was read.
      if (const auto error = list(upper, new_, true)) report_.refuse(error.message());
    }
    std::erase_if(new_, [this](const auto& item) {
      const auto old = old_.find(item.first);
      return old != old_.end() && known(old->second, item.second);
    });
    if (new_.empty()) return report_;
    if (auto made = prepare(); !made) return tl::unexpected(std::move(made.error()));
    for (const auto& [name, item] : new_) {
      if (stopped()) return cancelled();
      if (auto taken = take(name, item); !taken) return tl::unexpected(std::move(taken.error()));
      step(in_.hook, "taken");
    }
    if (report_.taken == 0) return report_;
    if (auto kept = keep_old(); !kept) return tl::unexpected(std::move(kept.error()));
    step(in_.hook, "linked");
    return report_;
  }

 protected:
  using Key = typename Items::key_type;
  using Item = typename Items::mapped_type;
  using Done = tl::expected<void, TakeError>;

  /// `things`: what is taken, for the message of a round that was stopped.
  TakeRound(const TakeInput& in, std::string_view things) : in_(in), things_(things) {}
  TakeRound(const TakeRound&) = delete;
  TakeRound& operator=(const TakeRound&) = delete;

  /// Adds what a cache has to `out`; `hostile`: it was written by a pod.
  virtual std::error_code list(const Fd& cache, Items& out, bool hostile) = 0;
  /// Whether `had` makes taking `offered`, of the same name, needless.
  virtual bool known(const Item& had, const Item& offered) const = 0;
  /// Called once, before the first is taken.
  virtual Done prepare() { return {}; }
  /// Takes one, and calls took(), or refuses it.
  virtual Done take(const Key& name, const Item& item) = 0;
  /// Keeps one of the base, and counts it as kept or dropped.
  virtual Done keep(const Key& name, const Item& item) = 0;

  void took(const Key& name) {
    ++report_.taken;
    taken_.insert(name);
  }

  const TakeInput& in_;
  TakeReport report_;
  Items old_;
  Items new_;

 private:
  [[nodiscard]] bool stopped() const { return in_.stopped && in_.stopped(); }
  [[nodiscard]] tl::unexpected<TakeError> cancelled() const {
    return take_error("go on with", things_, std::make_error_code(std::errc::operation_canceled));
  }

  /// The latest first.
  Done keep_old() {
    std::vector<const typename Items::value_type*> order;
    order.reserve(old_.size());
    for (const auto& item : old_) {
      if (!taken_.contains(item.first)) order.push_back(&item);
    }
    std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      return a->second.modified > b->second.modified;
    });
    for (const auto* item : order) {
      if (stopped()) return cancelled();
      if (report_.taken + report_.kept >= in_.limits.entries) {
        ++report_.dropped;
        continue;
      }
      if (auto kept = keep(item->first, item->second); !kept) return kept;
    }
    return {};
  }

  std::string_view things_;
  std::set<Key> taken_;
};

}  // namespace gobuildenv::agent
