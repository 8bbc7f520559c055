#include "kube/watch_machine.hpp"

#include <algorithm>
#include <utility>

namespace gobuildenv::kube {
namespace {

using Phase = WatchState::Phase;
using Input = WatchInput::Kind;
using Action = WatchAction::Kind;

/// A stream that ends this soon and empty is a failure, or we would reopen it in a hot loop.
constexpr std::chrono::seconds kShortStream{1};
/// After so many streams that ended badly without showing anything the version we ask from is
/// suspect: list anew.
constexpr int kBarrenStreams = 3;

/// One call of watch_step(): the inputs of all its rules.
class Transition {
 public:
  Transition(const WatchConfig& config, WatchState state, const WatchInput& input,
             Clock::TimePoint now, double random)
      : config_(config), state_(std::move(state)), input_(input), now_(now), random_(random) {}

  WatchStep run() {
    switch (input_.kind) {
      case Input::Begin:
        return sync();
      case Input::PageRead:
        return page_read();
      case Input::ListFailed:
        return list_failed();
      case Input::Opened:
        state_.opened = now_;
        return read();
      case Input::OpenFailed:
        return state_.phase == Phase::Streaming ? streaming_open_failed() : watch_open_failed();
      case Input::Event:
        return event();
      case Input::Bookmark:
        return bookmark();
      case Input::ErrorEvent:
        return state_.phase == Phase::Streaming ? streaming_error() : watch_error();
      case Input::StreamClosed:
      case Input::StreamBroken:
        return stream_ended();
      case Input::IdleTimeout:
        if (state_.phase != Phase::Streaming) return watch();
        // Perhaps a server that never sends the bookmark we wait for.
        state_.list_instead_once = true;
        return sync();
      case Input::Waited:
        return state_.phase == Phase::Watching ? watch() : sync();
    }
    return sync();
  }

 private:
  WatchStep act(WatchAction action, StoreEffect effect = StoreEffect::None) {
    return {std::move(state_), std::move(action), effect};
  }

  WatchStep read(StoreEffect effect = StoreEffect::None) {
    WatchAction action;
    action.kind = Action::Read;
    return act(std::move(action), effect);
  }

  std::chrono::seconds watch_timeout() const {
    const auto span = config_.watch_timeout_max - config_.watch_timeout_min;
    return config_.watch_timeout_min + std::chrono::seconds(static_cast<std::int64_t>(
                                           static_cast<double>(span.count()) * random_));
  }

  /// Begins a list, streamed or paged. The first may come from any server's cache ("0"), a later
  /// one must be at least as new as what we have shown; "" asks for the newest.
  WatchStep sync() {
    if (state_.version_lost) {
      state_.list_version.clear();
    } else {
      state_.list_version = !state_.version.empty()     ? state_.version
                            : config_.newest_first_list ? ""
                                                        : "0";
    }
    state_.pages = 0;
    state_.page_version.clear();
    state_.progressed = false;
    WatchAction action;
    action.resource_version = state_.list_version;
    if (config_.streaming_list && !state_.streaming_refused && !state_.list_instead_once) {
      state_.phase = Phase::Streaming;
      action.kind = Action::OpenStreamingList;
      action.resource_version_match = "NotOlderThan";
      action.timeout = watch_timeout();
    } else {
      state_.phase = Phase::Listing;
      action.kind = Action::List;
      // With a version of its own a limit would defeat the server's watch cache.
      const bool paged = state_.list_version.empty() || state_.list_version == "0";
      action.limit = paged ? config_.page_size : 0;
    }
    return act(std::move(action), StoreEffect::BeginReplace);
  }

  WatchStep watch(StoreEffect effect = StoreEffect::None) {
    state_.progressed = false;
    WatchAction action;
    action.kind = Action::OpenWatch;
    action.resource_version = state_.version;
    action.timeout = watch_timeout();
    return act(std::move(action), effect);
  }

  /// Waits; what follows depends on the phase.
  WatchStep back_off() {
    if (state_.backoff == Clock::Duration::zero() ||
        now_ - state_.last_backoff > config_.backoff_reset) {
      state_.backoff = config_.backoff_initial;
    }
    const auto jittered = std::chrono::duration_cast<Clock::Duration>(
        std::chrono::duration<double>(state_.backoff) * (1.0 + random_));
    state_.backoff = std::min<Clock::Duration>(state_.backoff * 2, config_.backoff_max);
    state_.last_backoff = now_;
    WatchAction action;
    action.kind = Action::Wait;
    action.delay = std::max<Clock::Duration>(
        jittered, input_.error.retry_after.value_or(std::chrono::seconds(0)));
    return act(std::move(action));
  }

  WatchStep back_off_then_list() {
    state_.phase = Phase::Start;
    return back_off();
  }

  /// The server does not have the version we listed with: at once with "", once.
  WatchStep version_gone() {
    if (state_.list_version.empty()) return back_off();
    state_.version_lost = true;
    return sync();
  }

  WatchStep page_read() {
    if (state_.pages++ == 0) state_.page_version = input_.version;
    if (!input_.continue_token.empty()) {
      WatchAction action;
      action.kind = Action::List;
      action.limit = config_.page_size;
      action.continue_token = input_.continue_token;
      return act(std::move(action));
    }
    state_.version = state_.page_version;
    return complete();
  }

  void list_complete() {
    state_.phase = Phase::Watching;
    state_.version_lost = false;
    state_.list_instead_once = false;
  }

  WatchStep complete() {
    list_complete();
    return watch(StoreEffect::CommitReplace);
  }

  WatchStep list_failed() {
    if (input_.error.kind != Error::Kind::Gone) return back_off();
    if (state_.pages == 0) return version_gone();
    // The continue token expired while we read: the whole list in one piece.
    state_.pages = 0;
    WatchAction action;
    action.kind = Action::List;
    action.resource_version = state_.list_version;
    return act(std::move(action), StoreEffect::BeginReplace);
  }

  WatchStep streaming_open_failed() {
    switch (input_.error.kind) {
      case Error::Kind::Gone:
        return version_gone();
      case Error::Kind::Invalid:
        state_.streaming_refused = true;
        return sync();
      default:
        return back_off();
    }
  }

  WatchStep watch_open_failed() {
    switch (input_.error.kind) {
      case Error::Kind::Gone:
        return barren() ? back_off_then_list() : sync();
      case Error::Kind::NotFound:  // the CRD is gone; when it is back, nothing of ours is
      case Error::Kind::Invalid:
        return back_off_then_list();
      default:
        return back_off();
    }
  }

  WatchStep event() {
    state_.progressed = true;
    // The initial objects of a streaming list come in no order of their versions.
    if (state_.phase == Phase::Streaming) return read();
    return advance();
  }

  WatchStep advance() {
    state_.barren = 0;
    if (!input_.version.empty()) state_.version = input_.version;
    return read(StoreEffect::Advance);
  }

  WatchStep bookmark() {
    state_.progressed = true;
    if (state_.phase != Phase::Streaming) return advance();
    if (!input_.initial_events_end) return read();
    state_.version = input_.version;
    list_complete();
    return read(StoreEffect::CommitReplace);
  }

  WatchStep streaming_error() {
    if (input_.error.kind == Error::Kind::Gone) return version_gone();
    if (input_.error.code == 429) return back_off();
    state_.list_instead_once = true;
    return sync();
  }

  WatchStep watch_error() {
    if (input_.error.kind == Error::Kind::Gone) return barren() ? back_off_then_list() : sync();
    return barren() ? back_off_then_list() : back_off();
  }

  WatchStep stream_ended() {
    if (state_.phase == Phase::Streaming) {
      // Cut before the end: a list does not depend on one connection living for so long.
      state_.list_instead_once = input_.kind == Input::StreamClosed || state_.progressed;
      return back_off();
    }
    if (state_.progressed || now_ - state_.opened >= kShortStream) return watch();
    if (input_.kind == Input::StreamBroken && barren()) return back_off_then_list();
    return back_off();
  }

  /// Counts a stream that showed nothing; true when it is one too many.
  bool barren() {
    if (state_.progressed) return false;
    if (++state_.barren < kBarrenStreams) return false;
    state_.barren = 0;
    return true;
  }

  const WatchConfig& config_;
  WatchState state_;
  const WatchInput& input_;
  const Clock::TimePoint now_;
  const double random_;
};

}  // namespace

WatchStep watch_step(const WatchConfig& config, WatchState state, const WatchInput& input,
                     Clock::TimePoint now, double random) {
  return Transition(config, std::move(state), input, now, random).run();
}

}  // namespace gobuildenv::kube
