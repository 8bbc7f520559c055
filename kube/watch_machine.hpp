#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "kube/clock.hpp"
#include "kube/error.hpp"

/// List and watch as an explicit state machine with one pure transition function: the reflector
/// performs the action, gives the outcome to watch_step(), and performs the next. Follows the rules
/// of client-go's reflector (tools/cache/reflector.go) and pager, with a read deadline of its own.
namespace gobuildenv::kube {

struct WatchConfig {
  /// Ask for the initial objects on the watch itself (sendInitialEvents); one object is in memory
  /// at a time. Falls back to lists by itself where the server refuses.
  bool streaming_list = true;
  int page_size = 500;  ///< 0: unpaged
  /// The first list asks for the newest state, which comes in pages; of "0", any state, the
  /// server's cache gives all at once, whatever the limit.
  bool newest_first_list = false;
  /// timeoutSeconds of a watch is uniform in [min, max]. Behind balancers which cut idle
  /// connections at 240 s: at most 200.
  std::chrono::seconds watch_timeout_min{300};
  std::chrono::seconds watch_timeout_max{600};
  /// No byte for this long and the connection counts as dead: the server sends a bookmark about
  /// once a minute, and HTTP/1.1 has no ping.
  std::chrono::seconds idle_deadline{90};
  std::chrono::milliseconds backoff_initial{800};
  std::chrono::milliseconds backoff_max{30'000};
  std::chrono::seconds backoff_reset{120};  ///< without failure for this long: initial again
};

/// Where we are.
struct WatchState {
  enum class Phase : std::uint8_t {
    Start,      ///< nothing asked yet
    Listing,    ///< reading the pages of a list
    Streaming,  ///< reading the initial objects from a watch
    Watching,   ///< the store is complete and follows the watch
  };
  Phase phase = Phase::Start;
  std::string version;             ///< the last seen resourceVersion; empty before the first list
  std::string list_version;        ///< what the current list asked for
  bool version_lost = false;       ///< the server no longer knows `version`: list with ""
  bool streaming_refused = false;  ///< the server does not know sendInitialEvents
  bool list_instead_once = false;  ///< the last streaming list failed inside: list this time
  int pages = 0;                   ///< pages read of the current list
  std::string page_version;        ///< of its first page: what the whole list is at least as new as
  bool progressed = false;         ///< the stream asked for last has shown something
  Clock::TimePoint opened{};       ///< when the current stream opened
  int barren = 0;                  ///< streams in a row which ended badly and showed nothing
  Clock::Duration backoff{};       ///< the next delay without jitter; 0: the initial one
  Clock::TimePoint last_backoff{};  ///< when the last one began
};

/// What the reflector is to do next.
struct WatchAction {
  enum class Kind : std::uint8_t { List, OpenWatch, OpenStreamingList, Read, Wait };
  Kind kind = Kind::List;
  std::string resource_version;        ///< List, Open…
  std::string resource_version_match;  ///< List; "" or "NotOlderThan" for Open…
  int limit = 0;                       ///< List
  std::string continue_token;          ///< List
  std::chrono::seconds timeout{};      ///< Open…: timeoutSeconds
  Clock::Duration delay{};             ///< Wait
};

/// What is to happen to the cache, before the action.
enum class StoreEffect : std::uint8_t {
  None,
  BeginReplace,   ///< a list begins
  CommitReplace,  ///< the list is complete, as of the state's `version`
  Advance,        ///< everything up to the state's `version` has been applied
};

struct WatchStep {
  WatchState state;
  WatchAction action;
  StoreEffect effect = StoreEffect::None;
};

/// The outcome of the last action.
struct WatchInput {
  enum class Kind : std::uint8_t {
    Begin,         ///< the first of all
    PageRead,      ///< a list page: `version`, `continue_token`
    ListFailed,    ///< `error`
    Opened,        ///< the stream is open
    OpenFailed,    ///< `error`
    Event,         ///< ADDED, MODIFIED or DELETED was read: `version`
    Bookmark,      ///< `version`, `initial_events_end`
    ErrorEvent,    ///< an ERROR event: `error`
    StreamClosed,  ///< clean end of the body
    StreamBroken,  ///< torn connection, half a line, too long a line: `error` has the message
    IdleTimeout,   ///< no byte within the idle deadline
    Waited,        ///< the delay is over
  };
  Kind kind = Kind::Begin;
  std::string version;
  std::string continue_token;
  bool initial_events_end = false;
  Error error;
};

/// The whole behaviour. Pure: `now` and `random` (uniform in [0, 1)) come from outside.
[[nodiscard]] WatchStep watch_step(const WatchConfig& config, WatchState state,
                                   const WatchInput& input, Clock::TimePoint now, double random);

}  // namespace gobuildenv::kube
