#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kube/client.hpp"
#include "kube/clock.hpp"

/// A Client whose every answer is a function of the test; it keeps nothing and knows no rule of the
/// API server.
namespace gobuildenv::kube::testing {

inline Error error_of(Error::Kind kind, int code, std::string message = "scripted") {
  Error error;
  error.kind = kind;
  error.code = code;
  error.message = std::move(message);
  return error;
}

class FakeClient : public Client {
 public:
  std::function<Result(const ObjectKey&)> on_get;
  std::function<tl::expected<ListPage, Error>(const ListOptions&)> on_list;
  std::function<Result(std::string_view json)> on_create;
  std::function<Result(const ObjectKey&, std::string_view json)> on_update;
  std::function<tl::expected<std::unique_ptr<ByteStream>, Error>(const WatchOptions&)> on_watch;
  std::atomic<int> writes{0};

  Result get(const ResourceType&, const ObjectKey& key, Deadline) override {
    return on_get ? on_get(key) : refused();
  }
  tl::expected<ListPage, Error> list(const ResourceType&, const ListOptions& options,
                                     Deadline) override {
    if (on_list) return on_list(options);
    return tl::unexpected(error_of(Error::Kind::Retry, 0));
  }
  Result create(const ResourceType&, const std::string&, std::string_view json, Deadline) override {
    ++writes;
    return on_create ? on_create(json) : refused();
  }
  Result update(const ResourceType&, const ObjectKey& key, std::string_view json,
                const std::string&, Deadline) override {
    ++writes;
    return on_update ? on_update(key, json) : refused();
  }
  Result apply(const ResourceType&, const ObjectKey&, std::string_view, const ApplyOptions&,
               Deadline) override {
    ++writes;
    return refused();
  }
  Result patch(const ResourceType&, const ObjectKey&, std::string_view, const std::string&,
               const std::string&, Deadline) override {
    ++writes;
    return refused();
  }
  tl::expected<void, Error> remove(const ResourceType&, const ObjectKey&, const DeleteOptions&,
                                   Deadline) override {
    ++writes;
    return tl::unexpected(error_of(Error::Kind::Retry, 0));
  }
  tl::expected<std::unique_ptr<ByteStream>, Error> watch(const ResourceType&,
                                                         const WatchOptions& options) override {
    if (on_watch) return on_watch(options);
    return tl::unexpected(error_of(Error::Kind::Retry, 0));
  }
  Result get_raw(const std::string&, Deadline) override { return refused(); }

 private:
  static Result refused() { return tl::unexpected(error_of(Error::Kind::Retry, 0)); }
};

/// The far end of a watch: what it sends, and how it ends. Shared by test and stream, so that a
/// test can go on sending while the informer reads.
class Pipe {
 public:
  explicit Pipe(FakeClock& clock) : clock_(clock) {}

  void send(std::string bytes) {
    const std::lock_guard lock(mutex_);
    parts_.push_back({Part::Bytes, std::move(bytes)});
    wake_.notify_all();
  }
  void close() { push(Part::Close); }
  void tear() { push(Part::Tear); }
  /// Nothing ever comes: the reader's idle deadline passes on the fake clock.
  void black_hole() { push(Part::BlackHole); }
  /// The reader has had everything and waits: from now on its idle deadline cannot pass.
  bool drained() {
    const std::lock_guard lock(mutex_);
    return waiting_ && parts_.empty();
  }

  tl::expected<std::size_t, TransportError> read(char* buffer, std::size_t size, Deadline idle) {
    std::unique_lock lock(mutex_);
    if (idle <= clock_.now() + std::chrono::milliseconds(1) && parts_.empty()) {
      return failure(TransportError::Kind::Timeout);
    }
    waiting_ = true;
    wake_.wait(lock, [&] { return cancelled_ || !parts_.empty(); });
    waiting_ = false;
    if (cancelled_) return failure(TransportError::Kind::Cancelled);
    Part& part = parts_.front();
    switch (part.kind) {
      case Part::Bytes: {
        const auto count = std::min(size, part.bytes.size());
        std::copy_n(part.bytes.data(), count, buffer);
        part.bytes.erase(0, count);
        if (part.bytes.empty()) parts_.pop_front();
        return count;
      }
      case Part::Close:
        return std::size_t{0};
      case Part::Tear:
        return failure(TransportError::Kind::Closed);
      case Part::BlackHole:
        clock_.advance(idle - clock_.now());
        return failure(TransportError::Kind::Timeout);
    }
    return failure(TransportError::Kind::Protocol);
  }
  void cancel() {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    wake_.notify_all();
  }

 private:
  struct Part {
    enum Kind { Bytes, Close, Tear, BlackHole } kind;
    std::string bytes;
  };
  void push(Part::Kind kind) {
    const std::lock_guard lock(mutex_);
    parts_.push_back({kind, {}});
    wake_.notify_all();
  }
  static tl::unexpected<TransportError> failure(TransportError::Kind kind) {
    return tl::unexpected(TransportError{kind, "scripted"});
  }

  FakeClock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Part> parts_;
  bool waiting_ = false;
  bool cancelled_ = false;
};

class PipeStream final : public ByteStream {
 public:
  explicit PipeStream(std::shared_ptr<Pipe> pipe) : pipe_(std::move(pipe)) {}
  tl::expected<std::size_t, TransportError> read(char* buffer, std::size_t size,
                                                 Deadline idle) override {
    return pipe_->read(buffer, size, idle);
  }
  void cancel() noexcept override { pipe_->cancel(); }

 private:
  std::shared_ptr<Pipe> pipe_;
};

/// JSON text of an object with a marker value.
inline std::string object_json(const std::string& ns, const std::string& name,
                               const std::string& uid, const std::string& version,
                               const std::string& data = "x") {
  return R"({"apiVersion":"v1","kind":"Thing","metadata":{"name":")" + name + R"(","namespace":")" +
         ns + R"(","uid":")" + uid + R"(","resourceVersion":")" + version + R"("},"data":")" +
         data + R"("})";
}

inline std::string event_line(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

inline std::string bookmark_line(const std::string& version, bool initial_events_end = false) {
  const std::string annotations =
      initial_events_end ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "";
  return event_line("BOOKMARK", R"({"kind":"Thing","apiVersion":"v1","metadata":{)"
                                R"("resourceVersion":")" +
                                    version + R"(","creationTimestamp":null)" + annotations + "}}");
}

inline std::string error_line(int code, const std::string& reason) {
  return event_line("ERROR", R"({"kind":"Status","apiVersion":"v1","metadata":{},)"
                             R"("status":"Failure","message":"scripted","reason":")" +
                                 reason + R"(","code":)" + std::to_string(code) + "}");
}

inline std::string list_json(const std::string& version, const std::vector<std::string>& items,
                             const std::string& next = "") {
  std::string body =
      R"({"kind":"ThingList","apiVersion":"v1","metadata":{"resourceVersion":")" + version + "\"";
  if (!next.empty()) body += R"(,"continue":")" + next + "\"";
  body += R"(},"items":[)";
  for (std::size_t i = 0; i < items.size(); ++i) body += (i == 0 ? "" : ",") + items[i];
  return body + "]}";
}

}  // namespace gobuildenv::kube::testing
