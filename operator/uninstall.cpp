#include "operator/uninstall.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controllers/certificates/records.hpp"
#include "controllers/gobuildenv/records.hpp"
#include "goenv/names.hpp"
#include "kube/pager.hpp"

namespace gobuildenv::cli {
namespace {

using Json = nlohmann::json;
using Holders = std::vector<VolumeHolder>;
using tl::unexpected;

constexpr std::size_t kShown = 20;

const Json& member(const Json& object, const char* name) {
  static const Json none;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() ? none : *found;
}

std::string text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

tl::expected<void, kube::Error> remove(kube::Client& client, const kube::ResourceType& type,
                                       const std::string& name, kube::Deadline deadline) {
  const auto found = client.get(type, {"", name}, deadline);
  if (!found && found.error().kind == kube::Error::Kind::NotFound) return {};
  if (!found) return unexpected(found.error());
  kube::DeleteOptions only;
  only.uid = text(member(member(Json::parse(*found, nullptr, false), "metadata"), "uid"));
  auto removed = client.remove(type, {"", name}, only, deadline);
  if (!removed && removed.error().kind == kube::Error::Kind::NotFound) return {};
  return removed;
}

tl::expected<Holders, kube::Error> list_holders(kube::Client& client, kube::Deadline deadline) {
  Holders out;
  std::string broken;
  const auto take = [&](std::string_view pod) {
    auto holder = read_volume_holder(pod);
    if (!holder) broken = std::move(holder.error());
    if (holder && *holder) out.push_back(std::move(**holder));
  };
  const auto listed = kube::list_all(
      client, {controllers::kPodType, {}}, take, [&] { out.clear(); }, deadline);
  if (!listed) return unexpected(listed.error());
  if (!broken.empty()) {
    kube::Error error;
    error.kind = kube::Error::Kind::Invalid;
    error.message = std::move(broken);
    return unexpected(std::move(error));
  }
  return out;
}

}  // namespace

tl::expected<std::optional<VolumeHolder>, std::string> read_volume_holder(std::string_view pod) {
  const Json json = Json::parse(pod, nullptr, false);
  if (!json.is_object()) return unexpected(std::string("the list of pods holds what is no object"));
  const Json& volumes = member(member(json, "spec"), "volumes");
  const bool ours = std::any_of(volumes.begin(), volumes.end(), [](const Json& volume) {
    return text(member(member(volume, "csi"), "driver")) == goenv::kCsiDriver;
  });
  if (!ours) return std::nullopt;
  const Json& metadata = member(json, "metadata");
  VolumeHolder holder;
  holder.ending = member(metadata, "deletionTimestamp").is_string();
  const std::string phase = text(member(member(json, "status"), "phase"));
  if ((phase == "Succeeded" || phase == "Failed") && !holder.ending) return std::nullopt;
  holder.pod =
      fmt::format("{}/{}", text(member(metadata, "namespace")), text(member(metadata, "name")));
  holder.node = text(member(member(json, "spec"), "nodeName"));
  return holder;
}

tl::expected<Holders, kube::Error> prepare_uninstall(
    kube::Client& client, kube::Clock& clock, const UninstallOptions& options,
    const std::function<void(const Holders&)>& waiting) {
  if (options.only_check) return list_holders(client, clock.now() + options.request_timeout);
  for (const auto* type :
       {&controllers::kMutatingWebhookType, &controllers::kValidatingWebhookType}) {
    const auto removed =
        remove(client, *type, options.webhook_config, clock.now() + options.request_timeout);
    if (!removed) return unexpected(removed.error());
  }
  const auto until = clock.now() + options.wait;
  std::optional<kube::Clock::TimePoint> free_since;
  std::size_t told = 0;
  kube::StopSignal never;
  while (true) {
    auto holders = list_holders(client, clock.now() + options.request_timeout);
    if (!holders) return holders;
    const auto now = clock.now();
    if (!holders->empty()) {
      free_since.reset();
      if (now >= until) return holders;
      if (told != holders->size()) waiting(*holders);
      told = holders->size();
    } else {
      if (!free_since) free_since = now;
      if (now - *free_since >= options.settle) return holders;
    }
    never.sleep(clock, options.poll);
  }
}

std::string uninstall_text(const Holders& holders, const UninstallOptions& options) {
  if (holders.empty()) {
    return "No pod holds a volume of the node agent: the operator can be removed.\n";
  }
  std::string out =
      fmt::format("{} {} of the node agent, and could not end without it:\n", holders.size(),
                  holders.size() == 1 ? "pod holds a volume" : "pods hold volumes");
  for (std::size_t i = 0; i < std::min(holders.size(), kShown); ++i) {
    const VolumeHolder& holder = holders[i];
    out += fmt::format("  {}{}{}\n", holder.pod,
                       holder.node.empty() ? ", not on a node yet" : ", on node " + holder.node,
                       holder.ending ? ", being deleted" : "");
  }
  if (holders.size() > kShown) out += fmt::format("  and {} more\n", holders.size() - kShown);
  out += "Wait for them or delete them, then uninstall again.\n";
  if (!options.only_check) {
    out +=
        "Pods that are created meanwhile run unchanged: the webhooks are gone. `helm upgrade`, or "
        "applying the manifest again, brings them back.\n";
  }
  return out;
}

}  // namespace gobuildenv::cli
