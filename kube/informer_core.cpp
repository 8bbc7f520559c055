#include "kube/informer_core.hpp"

#include <malloc.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "kube/list_page.hpp"
#include "kube/object_meta.hpp"
#include "kube/watch_decoder.hpp"

namespace gobuildenv::kube {
namespace {

using Input = WatchInput::Kind;
using Action = WatchAction::Kind;

/// How long to look for what a stream has already: a deadline that has passed reads nothing.
constexpr std::chrono::milliseconds kGlance{1};

WatchInput broken(std::string message) {
  WatchInput input;
  input.kind = Input::StreamBroken;
  input.error.message = std::move(message);
  return input;
}

WatchInput failed(Input kind, Error error) {
  WatchInput input;
  input.kind = kind;
  input.error = std::move(error);
  return input;
}

std::string resource_label(const InformerOptions& options) {
  if (!options.name.empty()) return options.name;
  const ResourceType& type = options.type;
  return type.group.empty() ? type.plural : type.plural + "." + type.group;
}

}  // namespace

/// The open watch: its bytes and the line they are cut into.
struct InformerCore::Stream {
  Stream(std::unique_ptr<ByteStream> stream, std::size_t max_line)
      : bytes(std::move(stream)), lines(max_line) {}
  std::unique_ptr<ByteStream> bytes;
  LineSplitter lines;
};

InformerCore::InformerCore(const InformerRuntime& runtime, InformerOptions options,
                           AnyDecoder decoder, std::vector<NamedIndex> indexes)
    : client_(runtime.client),
      clock_(runtime.clock),
      random_(runtime.random),
      options_(std::move(options)),
      metrics_(runtime.metrics != nullptr ? runtime.metrics->informer(resource_label(options_))
                                          : InformerMetrics{}),
      cache_(resource_label(options_), runtime.clock, std::move(decoder), std::move(indexes),
             metrics_),
      pages_(client_, options_.type),
      last_event_(clock_.now().time_since_epoch().count()) {
  if (runtime.metrics != nullptr) {
    collector_ = runtime.metrics->add_collector([this] {
      metrics_.last_event_age_seconds.set(std::chrono::duration<double>(last_event_age()).count());
    });
  }
}

InformerCore::~InformerCore() {
  request_stop();
  join();
}

void InformerCore::start() {
  thread_ = std::thread([this] { run(); });
}

void InformerCore::request_stop() {
  stop_.stop();
  {
    const std::lock_guard lock(stream_mutex_);
    if (stream_) stream_->bytes->cancel();
  }
  const std::lock_guard lock(sync_mutex_);
  synced_.notify_all();
}

void InformerCore::join() {
  if (thread_.joinable()) thread_.join();
}

bool InformerCore::wait_for_sync(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(sync_mutex_);
  synced_.wait_until(lock, deadline, [&] { return has_synced() || stop_.stopped(); });
  return has_synced();
}

Clock::Duration InformerCore::last_event_age() const {
  return clock_.now().time_since_epoch() - Clock::Duration(last_event_.load());
}

void InformerCore::run() {
  schedule_resync();
  WatchInput input;
  while (!stop_.stopped()) {
    log_failure(input);
    WatchStep step = watch_step(options_.watch, std::move(state_), input, clock_.now(), random_());
    state_ = std::move(step.state);
    apply_effect(step.effect);
    resync_if_due();
    input = perform(step.action);
  }
  close_stream();
  pages_.drop();
}

void InformerCore::apply_effect(StoreEffect effect) {
  switch (effect) {
    case StoreEffect::None:
      return;
    case StoreEffect::BeginReplace:
      cache_.begin_replace();
      return;
    case StoreEffect::Advance:
      cache_.advance(state_.version);
      return;
    case StoreEffect::CommitReplace:
      cache_.commit_replace(state_.version);
      metrics_.lists.add();
      spdlog::info("list complete resource={} objects={} version={}", resource_label(options_),
                   store().size(), state_.version);
      const std::lock_guard lock(sync_mutex_);
      synced_.notify_all();
      return;
  }
}

WatchInput InformerCore::perform(const WatchAction& action) {
  WatchInput input;
  switch (action.kind) {
    case Action::List:
      if (early_version_.empty() || action.continue_token.empty()) close_stream();
      return list_page(action);
    case Action::OpenWatch:
      if (!early_version_.empty() && early_version_ == action.resource_version) {
        early_version_.clear();
        input.kind = Input::Opened;
        return input;
      }
      [[fallthrough]];
    case Action::OpenStreamingList:
      close_stream();
      return open_watch(action);
    case Action::Read:
      return read_stream();
    case Action::Wait:
      close_stream();
      stop_.sleep(clock_, action.delay);
      input.kind = Input::Waited;
      return input;
  }
  return input;
}

WatchInput InformerCore::list_page(const WatchAction& action) {
  ListOptions options;
  options.ns = options_.ns;
  options.label_selector = options_.label_selector;
  options.field_selector = options_.field_selector;
  options.metadata_only = options_.metadata_only;
  options.resource_version = action.resource_version;
  options.resource_version_match = action.resource_version_match;
  options.limit = action.limit;
  options.continue_token = action.continue_token;
  auto page = pages_.get(options, clock_.now() + options_.list_timeout);
  if (!page) return failed(Input::ListFailed, std::move(page.error()));
  std::vector<std::string_view> items;
  auto info = split_list(page->body, [&](std::string_view item) { items.push_back(item); });
  if (!info) {
    Error error;
    error.message = std::move(info.error());
    return failed(Input::ListFailed, std::move(error));
  }
  const bool more = !info->continue_token.empty();
  const bool watched = options_.watch_while_listing && !has_synced() && more;
  if (watched && action.continue_token.empty()) open_early(info->resource_version);
  options.expected_bytes = page->body.size() + page->body.size() / 8;
  if (more) pages_.ask(options, info->continue_token, clock_.now() + options_.list_timeout);
  cache_.stage(items);
  WatchInput input;
  input.kind = Input::PageRead;
  input.version = std::move(info->resource_version);
  input.continue_token = std::move(info->continue_token);
  touch();
  if (watched) drain_early();
  return input;
}

void InformerCore::open_early(const std::string& version) {
  WatchAction action;
  action.kind = Action::OpenWatch;
  action.resource_version = version;
  action.timeout = options_.watch.watch_timeout_min;
  // Refused: then it is opened after the list, as if nobody had asked.
  if (open_watch(action).kind == Input::Opened) early_version_ = version;
}

void InformerCore::drain_early() {
  while (!early_version_.empty()) {
    std::string_view line;
    const auto next = stream_->lines.next(line);
    if (next == LineSplitter::Next::Line) {
      const auto event = decode_watch_line(line);
      if (event && event->type == WatchEvent::Type::Deleted) {
        cache_.remove(event->object);
      } else if (event && (event->type == WatchEvent::Type::Added ||
                           event->type == WatchEvent::Type::Modified)) {
        cache_.upsert(event->object);
      } else if (!event || event->type == WatchEvent::Type::Error) {
        close_stream();  // the watch after the list shows all of it once more
      }
      continue;
    }
    if (next == LineSplitter::Next::TooLong) return close_stream();
    const auto space = stream_->lines.space();
    const auto read = stream_->bytes->read(space.data, space.size, clock_.now() + kGlance);
    if (!read && read.error().kind == TransportError::Kind::Timeout) return;
    if (!read || *read == 0) return close_stream();
    stream_->lines.filled(*read);
  }
}

WatchInput InformerCore::open_watch(const WatchAction& action) {
  WatchOptions options;
  options.ns = options_.ns;
  options.label_selector = options_.label_selector;
  options.field_selector = options_.field_selector;
  options.metadata_only = options_.metadata_only;
  options.resource_version = action.resource_version;
  options.send_initial_events = action.kind == Action::OpenStreamingList;
  options.timeout_seconds = static_cast<int>(action.timeout.count());
  auto stream = client_.watch(options_.type, options);
  if (!stream) return failed(Input::OpenFailed, std::move(stream.error()));
  metrics_.watches.add();
  auto open = std::make_unique<Stream>(std::move(*stream), options_.max_line_bytes);
  {
    const std::lock_guard lock(stream_mutex_);
    stream_ = std::move(open);
    // request_stop() may have looked for a stream before there was one.
    if (stop_.stopped()) stream_->bytes->cancel();
  }
  WatchInput input;
  input.kind = Input::Opened;
  return input;
}

void InformerCore::close_stream() {
  early_version_.clear();
  std::unique_ptr<Stream> old;
  const std::lock_guard lock(stream_mutex_);
  old = std::move(stream_);
}

WatchInput InformerCore::read_stream() {
  while (true) {
    std::string_view line;
    switch (stream_->lines.next(line)) {
      case LineSplitter::Next::Line:
        return handle_line(line);
      case LineSplitter::Next::TooLong:
        return broken("a line of the watch is longer than max_line_bytes");
      case LineSplitter::Next::NeedMore:
        break;
    }
    const auto space = stream_->lines.space();
    const auto read =
        stream_->bytes->read(space.data, space.size, clock_.now() + options_.watch.idle_deadline);
    WatchInput input;
    if (!read) {
      if (read.error().kind != TransportError::Kind::Timeout) return broken(read.error().message);
      input.kind = Input::IdleTimeout;
      input.error.message = "nothing from the server within the idle deadline";
      return input;
    }
    if (*read == 0) {
      if (stream_->lines.partial()) return broken("the watch ended within a line");
      input.kind = Input::StreamClosed;
      return input;
    }
    touch();
    stream_->lines.filled(*read);
  }
}

WatchInput InformerCore::handle_line(std::string_view line) {
  auto event = decode_watch_line(line);
  if (!event) return broken(std::move(event.error()));
  metrics_.events.add();
  WatchInput input;
  if (event->type == WatchEvent::Type::Error) {
    return failed(Input::ErrorEvent, std::move(event->error));
  }
  const auto identity = decode_identity(event->object);
  if (identity) {
    input.version = identity->meta.resource_version;
    input.initial_events_end = identity->initial_events_end;
  }
  input.kind = event->type == WatchEvent::Type::Bookmark ? Input::Bookmark : Input::Event;
  switch (event->type) {
    case WatchEvent::Type::Deleted:
      cache_.remove(event->object);
      break;
    case WatchEvent::Type::Added:
    case WatchEvent::Type::Modified:
      if (state_.phase == WatchState::Phase::Streaming) {
        cache_.stage(event->object);
      } else {
        cache_.upsert(event->object, identity);
      }
      break;
    default:
      break;
  }
  return input;
}

void InformerCore::touch() { last_event_.store(clock_.now().time_since_epoch().count()); }

void InformerCore::log_failure(const WatchInput& input) const {
  const char* what = nullptr;
  switch (input.kind) {
    case Input::ListFailed:
      what = "list failed";
      break;
    case Input::OpenFailed:
      what = "watch refused";
      break;
    case Input::ErrorEvent:
      what = "watch ended by an error event";
      break;
    case Input::StreamBroken:
      what = "watch broken";
      break;
    case Input::IdleTimeout:
      what = "watch silent";
      break;
    default:
      return;
  }
  metrics_.failures.add();
  spdlog::warn("{} resource={} code={} reason={} error={}", what, resource_label(options_),
               input.error.code, input.error.reason, input.error.message);
}

void InformerCore::schedule_resync() {
  if (options_.resync == std::chrono::seconds::zero()) return;
  const auto period = std::chrono::duration<double>(options_.resync) * (0.9 + 0.2 * random_());
  next_resync_ = clock_.now() + std::chrono::duration_cast<Clock::Duration>(period);
}

/// Between two actions, so at the latest after a bookmark or an idle deadline: about a minute off.
void InformerCore::resync_if_due() {
  if (options_.resync == std::chrono::seconds::zero() || clock_.now() < next_resync_) return;
  schedule_resync();
  if (has_synced()) cache_.resync();
}

void trim_after_sync() noexcept { malloc_trim(0); }

}  // namespace gobuildenv::kube
