#pragma once

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "kube/client.hpp"

/// A few objects in a map behind the Client interface: uids, versions, generations, preconditions.
/// It knows no schema and no rule beyond these; apply merges lists by `name`; lists are empty,
/// watches silent.
namespace gobuildenv::controllers::testing {

/// A watch on which nothing happens.
class Silence final : public kube::ByteStream {
 public:
  tl::expected<std::size_t, kube::TransportError> read(char*, std::size_t,
                                                       kube::Deadline) override {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return cancelled_; });
    return tl::unexpected(kube::TransportError{kube::TransportError::Kind::Cancelled, "cancelled"});
  }
  void cancel() noexcept override {
    {
      const std::scoped_lock lock(mutex_);
      cancelled_ = true;
    }
    wake_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool cancelled_ = false;
};

class MemoryClient : public kube::Client {
 public:
  using Json = nlohmann::json;
  using Kind = kube::Error::Kind;

  std::vector<std::string> log;  ///< "create configmaps/x", in order; writes only
  int gets = 0;
  /// Called before each write; what it gives is the write's failure.
  std::function<std::optional<Kind>(const std::string& entry)> fail;
  /// The same with the whole answer; asked first.
  std::function<std::optional<kube::Error>(const std::string& entry)> refuse;
  std::optional<Kind> fail_gets;      ///< what every get() gives, if anything
  std::vector<kube::Deadline> asked;  ///< deadline of each get()
  std::vector<kube::ApplyOptions> applied;

  Json& at(const std::string& plural, const std::string& name) { return objects_[plural][name]; }
  bool has(const std::string& plural, const std::string& name) {
    return objects_[plural].contains(name);
  }
  std::map<std::string, Json>& all(const std::string& plural) { return objects_[plural]; }

  /// Puts an object there as somebody else would.
  std::string put(const std::string& plural, Json object) {
    Json& metadata = object["metadata"];
    metadata["uid"] = "uid-" + std::to_string(++serial_);
    metadata["resourceVersion"] = std::to_string(++serial_);
    const std::string name = metadata["name"];
    return (objects_[plural][name] = std::move(object)).dump();
  }

  /// Gives the object a new version, as each write does; its text.
  std::string touch(Json& object) {
    object["metadata"]["resourceVersion"] = std::to_string(++serial_);
    return object.dump();
  }

  Result get(const kube::ResourceType& type, const kube::ObjectKey& key,
             kube::Deadline deadline) override {
    ++gets;
    asked.push_back(deadline);
    if (fail_gets) return error(*fail_gets);
    if (!has(type.plural, key.name)) return error(Kind::NotFound);
    return at(type.plural, key.name).dump();
  }
  tl::expected<kube::ListPage, kube::Error> list(const kube::ResourceType&,
                                                 const kube::ListOptions&,
                                                 kube::Deadline) override {
    return kube::ListPage{R"({"metadata":{"resourceVersion":"1"},"items":[]})"};
  }
  Result create(const kube::ResourceType& type, const std::string&, std::string_view json,
                kube::Deadline) override {
    Json object = Json::parse(json);
    const std::string name = object["metadata"]["name"];
    if (auto failure = enter("create " + type.plural + "/" + name)) return tl::unexpected(*failure);
    if (has(type.plural, name)) return error(Kind::AlreadyExists);
    return put(type.plural, std::move(object));
  }
  Result update(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view json,
                const std::string& subresource, kube::Deadline) override {
    const std::string suffix = subresource.empty() ? "" : "/" + subresource;
    if (auto failure = enter("update " + type.plural + "/" + key.name + suffix)) {
      return tl::unexpected(*failure);
    }
    if (!has(type.plural, key.name)) return error(Kind::NotFound);
    Json object = Json::parse(json);
    Json& stored = at(type.plural, key.name);
    if (object["metadata"]["resourceVersion"] != stored["metadata"]["resourceVersion"]) {
      return error(Kind::Conflict);
    }
    if (subresource == "status") {
      stored["status"] = object["status"];
    } else {
      object["metadata"]["uid"] = stored["metadata"]["uid"];
      stored = std::move(object);
    }
    return touch(stored);
  }
  Result apply(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view body,
               const kube::ApplyOptions& options, kube::Deadline) override {
    if (auto failure = enter("apply " + type.plural + "/" + key.name))
      return tl::unexpected(*failure);
    applied.push_back(options);
    const Json wanted = Json::parse(body);
    if (!has(type.plural, key.name)) {
      if (wanted["metadata"].contains("uid")) return error(Kind::Conflict);
      return put(type.plural, wanted);
    }
    Json& stored = at(type.plural, key.name);
    if (!preconditions_hold(wanted, stored)) return error(Kind::Conflict);
    merge_by_name(stored, wanted);
    return touch(stored);
  }
  Result patch(const kube::ResourceType& type, const kube::ObjectKey& key, std::string_view body,
               const std::string&, const std::string&, kube::Deadline) override {
    if (auto failure = enter("patch " + type.plural + "/" + key.name))
      return tl::unexpected(*failure);
    if (!has(type.plural, key.name)) return error(Kind::NotFound);
    const Json wanted = Json::parse(body);
    if (!preconditions_hold(wanted, at(type.plural, key.name))) return error(Kind::Conflict);
    at(type.plural, key.name).merge_patch(wanted);
    return touch(at(type.plural, key.name));
  }
  tl::expected<void, kube::Error> remove(const kube::ResourceType& type, const kube::ObjectKey& key,
                                         const kube::DeleteOptions& options,
                                         kube::Deadline) override {
    if (auto failure = enter("remove " + type.plural + "/" + key.name))
      return tl::unexpected(*failure);
    if (!has(type.plural, key.name)) return error(Kind::NotFound);
    if (!options.uid.empty() && at(type.plural, key.name)["metadata"]["uid"] != options.uid) {
      return error(Kind::Conflict);
    }
    objects_[type.plural].erase(key.name);
    return {};
  }
  tl::expected<std::unique_ptr<kube::ByteStream>, kube::Error> watch(
      const kube::ResourceType&, const kube::WatchOptions& options) override {
    if (options.send_initial_events) return error(Kind::Invalid);
    return std::make_unique<Silence>();
  }
  Result get_raw(const std::string&, kube::Deadline) override { return error(Kind::Retry); }

 private:
  static kube::Error error_of(Kind kind) {
    kube::Error out;
    out.kind = kind;
    out.message = "memory client";
    return out;
  }
  static tl::unexpected<kube::Error> error(Kind kind) { return tl::unexpected(error_of(kind)); }
  static bool preconditions_hold(const Json& body, const Json& stored) {
    for (const char* field : {"uid", "resourceVersion"}) {
      const auto metadata = body.find("metadata");
      if (metadata == body.end() || !metadata->contains(field)) continue;
      if ((*metadata)[field] != stored["metadata"][field]) return false;
    }
    return true;
  }
  static void merge_by_name(Json& into, const Json& from) {
    for (const auto& [key, value] : from.items()) {
      Json& target = into[key];
      if (value.is_object() && target.is_object()) {
        merge_by_name(target, value);
      } else if (value.is_array() && target.is_array()) {
        for (const Json& item : value) {
          const auto same = std::find_if(target.begin(), target.end(), [&](const Json& there) {
            return there["name"] == item["name"];
          });
          if (same == target.end()) {
            target.push_back(item);
          } else {
            merge_by_name(*same, item);
          }
        }
      } else {
        target = value;
      }
    }
  }
  std::optional<kube::Error> enter(const std::string& entry) {
    if (refuse) {
      if (auto refusal = refuse(entry)) return refusal;
    }
    if (fail) {
      if (const auto failure = fail(entry)) return error_of(*failure);
    }
    log.push_back(entry);
    return std::nullopt;
  }

  std::map<std::string, std::map<std::string, Json>> objects_;
  int serial_ = 100;
};

}  // namespace gobuildenv::controllers::testing
