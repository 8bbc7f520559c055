#include "webhooks/pod/prepared.hpp"

#include <algorithm>
#include <memory>

#include "webhooks/pod/json_text.hpp"
#include "webhooks/pod/volumes.hpp"

namespace gobuildenv::webhooks {

void append_env_entry(std::string& out, std::string_view name, std::string_view value) {
  out += R"({"name":)";
  append_json_string(out, name);
  out += R"(,"value":)";
  append_json_string(out, value);
  out += '}';
}

PreparedPlan::PreparedPlan(const InjectionInput& given)
    : input(given), mounts(wanted_mounts(given)) {
  const auto entry = [](std::string_view name, std::string_view value) {
    std::string json;
    append_env_entry(json, name, value);
    return json;
  };
  env.reserve(input.plan.env.size());
  for (const auto& [name, value] : input.plan.env) env.push_back(entry(name, value));
  launcher_env.reserve(input.plan.launcher_env.size());
  for (const auto& [name, value] : input.plan.launcher_env) {
    launcher_env.push_back(value ? entry(name, *value) : std::string{});
  }
  for (const WantedMount& mount : mounts) {
    const bool known =
        std::any_of(volumes.begin(), volumes.end(),
                    [&mount](const WantedVolume& other) { return other.name == mount.volume; });
    if (known) continue;
    WantedVolume volume{mount.volume, volume_json(mount.volume, PodKind::Plain, input),
                        volume_json(mount.volume, PodKind::WithGroup, input),
                        volume_json(mount.volume, PodKind::InUserNamespace, input)};
    if (volume.json_with_fs_group == volume.json) volume.json_with_fs_group.clear();
    if (volume.json_in_user_namespace == volume.json) volume.json_in_user_namespace.clear();
    volumes.push_back(std::move(volume));
  }
}

PreparedRevision::PreparedRevision(const ServedEnvironment& environment)
    : environment_(environment) {
  auto plan = goenv::decode_pod_plan(*environment.pod_json);
  if (!plan) {
    error_ = std::move(plan.error());
    return;
  }
  plan_ = std::move(*plan);
}

const PreparedPlan& PreparedRevision::with_csi(bool available) const {
  return prepared_[available ? 1 : 0].get([&] {
    return std::make_unique<const PreparedPlan>(InjectionInput{
        plan_, environment_.name, environment_.revision, environment_.config_map, available});
  });
}

ServedEnvironment::ServedEnvironment() = default;
ServedEnvironment::~ServedEnvironment() = default;

const PreparedRevision& ServedEnvironment::prepared() const {
  return prepared_.get([this] { return std::make_unique<const PreparedRevision>(*this); });
}

}  // namespace gobuildenv::webhooks
