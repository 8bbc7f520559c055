#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <utility>

#include "memory_client.hpp"

/// A MemoryClient with working lists and watches, for tests of informers and controllers together.
namespace gobuildenv::controllers::testing {

/// Whether `object` is what a list or watch asks for. Label selectors: "k", "!k" and "k=v"; field
/// selectors: "metadata.name=x".
inline bool asked_for(const nlohmann::json& object, const std::string& ns,
                      const std::string& label_selector, const std::string& field_selector) {
  const nlohmann::json& metadata = object["metadata"];
  if (!ns.empty() && metadata.value("namespace", "") != ns) return false;
  constexpr std::string_view kName = "metadata.name=";
  if (!field_selector.empty() && metadata["name"] != field_selector.substr(kName.size())) {
    return false;
  }
  const nlohmann::json labels = metadata.value("labels", nlohmann::json::object());
  std::istringstream terms(label_selector);
  for (std::string term; std::getline(terms, term, ',');) {
    if (const auto equals = term.find('='); equals != std::string::npos) {
      if (labels.value(term.substr(0, equals), "") != term.substr(equals + 1)) return false;
    } else if (term.starts_with('!') ? labels.contains(term.substr(1)) : !labels.contains(term)) {
      return false;
    }
  }
  return true;
}

/// The objects, and everything that happened to them. Thread-safe; shared by clients and streams.
class World {
 public:
  using Json = nlohmann::json;

  explicit World(kube::Clock& clock) : clock_(clock) {}

  /// Runs `f` with the objects. What it changes by put() and touch() is seen by no watch.
  template <class F>
  auto with(F&& f) {
    const std::scoped_lock lock(mutex_);
    return f(objects_);
  }

  enum class Second { Empty, Full };
  /// From now on the list of that kind has two pages, one of them empty; the second does not come
  /// before release_page().
  void hold_second_page(std::string plural, Second page = Second::Empty) {
    const std::scoped_lock lock(mutex_);
    held_ = std::move(plural);
    second_ = page;
  }
  void release_page() {
    {
      const std::scoped_lock lock(mutex_);
      held_.clear();
    }
    released_.notify_all();
  }
  /// From now on nobody's create of that kind through a WorldClient is answered before
  /// release_creates().
  void hold_creates(std::string plural) {
    const std::scoped_lock lock(mutex_);
    held_creates_ = std::move(plural);
  }
  void release_creates() {
    {
      const std::scoped_lock lock(mutex_);
      held_creates_.clear();
    }
    released_.notify_all();
  }

  /// MemoryClient::refuse, for writes through a WorldClient.
  void refuse(std::function<std::optional<kube::Error>(const std::string& entry)> f) {
    const std::scoped_lock lock(mutex_);
    objects_.refuse = std::move(f);
  }
  /// Every watch gets a bookmark, as a real one does once a minute.
  void bookmark() {
    const std::scoped_lock lock(mutex_);
    history_.push_back(
        {version_,
         "BOOKMARK",
         {},
         Json{{"metadata",
               {{"resourceVersion", std::to_string(version_)}, {"creationTimestamp", nullptr}}}}});
    wake_.notify_all();
  }

  /// As somebody else's create (a new uid).
  void create(const std::string& plural, Json object) {
    const std::scoped_lock lock(mutex_);
    happened("ADDED", plural, objects_.put(plural, std::move(object)));
  }
  /// As somebody else's merge patch.
  void change(const std::string& plural, const std::string& name, const Json& patch) {
    const std::scoped_lock lock(mutex_);
    Json& object = objects_.at(plural, name);
    object.merge_patch(patch);
    happened("MODIFIED", plural, objects_.touch(object));
  }
  /// As somebody else's delete.
  void remove(const std::string& plural, const std::string& name) {
    const std::scoped_lock lock(mutex_);
    const std::string last = objects_.touch(objects_.at(plural, name));
    objects_.all(plural).erase(name);
    happened("DELETED", plural, last);
  }
  Json get(const std::string& plural, const std::string& name) {
    const std::scoped_lock lock(mutex_);
    return objects_.has(plural, name) ? objects_.at(plural, name) : Json();
  }
  std::vector<Json> all(const std::string& plural) {
    const std::scoped_lock lock(mutex_);
    std::vector<Json> out;
    for (const auto& [name, object] : objects_.all(plural)) out.push_back(object);
    return out;
  }
  /// "create configmaps/x", in order.
  std::vector<std::string> writes() {
    const std::scoped_lock lock(mutex_);
    return objects_.log;
  }
  /// Plurals somebody watches or has watched.
  std::set<std::string> watched() {
    const std::scoped_lock lock(mutex_);
    return watched_;
  }

 private:
  friend class WorldClient;
  friend class WorldStream;
  struct Happening {
    int version;
    std::string type;
    std::string plural;
    Json object;
  };

  static int version_of(const Json& object) {
    return std::stoi(object["metadata"]["resourceVersion"].get<std::string>());
  }
  /// With the lock held.
  void happened(const std::string& type, const std::string& plural, const std::string& text) {
    Json object = Json::parse(text);
    version_ = version_of(object);
    history_.push_back({version_, type, plural, std::move(object)});
    wake_.notify_all();
  }

  kube::Clock& clock_;
  std::mutex mutex_;
  std::string held_;
  Second second_ = Second::Empty;
  Json second_page_ = Json::array();
  std::string held_creates_;
  std::condition_variable released_;
  std::condition_variable wake_;
  MemoryClient objects_;
  std::vector<Happening> history_;
  std::set<std::string> watched_;
  int version_ = 100;
};

class WorldStream final : public kube::ByteStream {
 public:
  WorldStream(World& world, std::string plural, kube::WatchOptions options)
      : world_(world),
        plural_(std::move(plural)),
        options_(std::move(options)),
        after_(std::stoi(options_.resource_version)) {}

  tl::expected<std::size_t, kube::TransportError> read(char* buffer, std::size_t size,
                                                       kube::Deadline deadline) override {
    std::unique_lock lock(world_.mutex_);
    if (deadline <= world_.clock_.now() + std::chrono::milliseconds(1) && !next()) {
      return tl::unexpected(kube::TransportError{kube::TransportError::Kind::Timeout, "nothing"});
    }
    world_.wake_.wait(lock, [this] { return cancelled_ || next(); });
    if (cancelled_) {
      return tl::unexpected(
          kube::TransportError{kube::TransportError::Kind::Cancelled, "cancelled"});
    }
    const std::size_t count = std::min(size, line_.size());
    std::copy_n(line_.data(), count, buffer);
    line_.erase(0, count);
    return count;
  }
  void cancel() noexcept override {
    const std::scoped_lock lock(world_.mutex_);
    cancelled_ = true;
    world_.wake_.notify_all();
  }

 private:
  bool next() {
    while (line_.empty() && at_ < world_.history_.size()) {
      const World::Happening& event = world_.history_[at_++];
      const bool shown = event.type == "BOOKMARK"
                             ? event.version >= after_
                             : event.version > after_ && event.plural == plural_ &&
                                   asked_for(event.object, options_.ns, options_.label_selector,
                                             options_.field_selector);
      if (!shown) continue;
      line_ = World::Json{{"type", event.type}, {"object", event.object}}.dump() + "\n";
    }
    return !line_.empty();
  }

  World& world_;
  const std::string plural_;
  const kube::WatchOptions options_;
  const int after_;
  std::size_t at_ = 0;
  std::string line_;
  bool cancelled_ = false;
};

/// Access to a World, with a fence as the real client has it.
class WorldClient final : public kube::Client {
 public:
  explicit WorldClient(World& world, kube::WriteFence fence = {})
      : world_(world), fence_(std::move(fence)) {}

  Result get(const kube::ResourceType& type, const kube::ObjectKey& key,
             kube::Deadline deadline) override {
    const std::scoped_lock lock(world_.mutex_);
    return world_.objects_.get(type, key, deadline);
  }
  tl::expected<kube::ListPage, kube::Error> list(const kube::ResourceType& type,
                                                 const kube::ListOptions& options,
                                                 kube::Deadline) override {
    std::unique_lock lock(world_.mutex_);
    World::Json page{{"metadata", {{"resourceVersion", std::to_string(world_.version_)}}},
                     {"items", World::Json::array()}};
    if (!options.continue_token.empty()) {
      world_.released_.wait(lock, [this] { return world_.held_.empty(); });
      page["items"] = std::exchange(world_.second_page_, World::Json::array());
      return kube::ListPage{page.dump()};
    }
    for (const auto& [name, object] : world_.objects_.all(type.plural)) {
      if (asked_for(object, options.ns, options.label_selector, options.field_selector)) {
        page["items"].push_back(object);
      }
    }
    if (type.plural == world_.held_) {
      page["metadata"]["continue"] = "the rest";
      if (world_.second_ == World::Second::Full) std::swap(page["items"], world_.second_page_);
    }
    return kube::ListPage{page.dump()};
  }
  Result create(const kube::ResourceType& type, const std::string& ns, std::string_view json,
                kube::Deadline deadline) override {
    {
      std::unique_lock lock(world_.mutex_);
      world_.released_.wait(lock, [&] { return world_.held_creates_ != type.plural; });
    }
    return write(type, "ADDED",
                 [&](kube::Client& objects) { return objects.create(type, ns, json, deadline); });
  }
  Result update(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view json,
                const std::string& subresource, kube::Deadline deadline) override {
    return write(type, "MODIFIED", [&](kube::Client& objects) {
      return objects.update(type, key, json, subresource, deadline);
    });
  }
  Result apply(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view json,
               const kube::ApplyOptions& options, kube::Deadline deadline) override {
    return write(type, "MODIFIED", [&](kube::Client& objects) {
      return objects.apply(type, key, json, options, deadline);
    });
  }
  Result patch(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view body,
               const std::string& content_type, const std::string& subresource,
               kube::Deadline deadline) override {
    return write(type, "MODIFIED", [&](kube::Client& objects) {
      return objects.patch(type, key, body, content_type, subresource, deadline);
    });
  }
  tl::expected<void, kube::Error> remove(const kube::ResourceType& type, const kube::ObjectKey& key,
                                         const kube::DeleteOptions& options,
                                         kube::Deadline deadline) override {
    if (fence_ && !fence_()) return tl::unexpected(shut());
    const std::scoped_lock lock(world_.mutex_);
    std::string last;
    if (world_.objects_.has(type.plural, key.name)) {
      last = world_.objects_.touch(world_.objects_.at(type.plural, key.name));
    }
    auto removed = world_.objects_.remove(type, key, options, deadline);
    if (removed) world_.happened("DELETED", type.plural, last);
    return removed;
  }
  tl::expected<std::unique_ptr<kube::ByteStream>, kube::Error> watch(
      const kube::ResourceType& type, const kube::WatchOptions& options) override {
    const std::scoped_lock lock(world_.mutex_);
    world_.watched_.insert(type.plural);
    if (options.send_initial_events) {
      kube::Error error;
      error.kind = kube::Error::Kind::Invalid;
      error.message = "sendInitialEvents is forbidden";
      return tl::unexpected(error);
    }
    return std::make_unique<WorldStream>(world_, type.plural, options);
  }
  Result get_raw(const std::string& target, kube::Deadline deadline) override {
    const std::scoped_lock lock(world_.mutex_);
    return world_.objects_.get_raw(target, deadline);
  }

 private:
  static kube::Error shut() {
    kube::Error error;
    error.kind = kube::Error::Kind::ShuttingDown;
    error.message = "the fence is down";
    return error;
  }
  template <class F>
  Result write(const kube::ResourceType& type, const char* event, F&& f) {
    if (fence_ && !fence_()) return tl::unexpected(shut());
    const std::scoped_lock lock(world_.mutex_);
    Result written = f(world_.objects_);
    if (written) world_.happened(event, type.plural, *written);
    return written;
  }

  World& world_;
  const kube::WriteFence fence_;
};

}  // namespace gobuildenv::controllers::testing
