#include "operator/cluster_environments.hpp"

#include <fmt/format.h>

#include <utility>

#include "controllers/gobuildenv/records.hpp"
#include "controllers/serving/namespaces.hpp"
#include "controllers/serving/selector.hpp"
#include "goenv/names.hpp"
#include "goenv/revision.hpp"
#include "kube/pager.hpp"

namespace gobuildenv::cli {

using webhooks::CsiDriver;
using webhooks::NamespaceInjection;
using webhooks::ServedEnvironment;

ClusterEnvironments::ClusterEnvironments(kube::Client& client, kube::Deadline deadline)
    : client_(client), deadline_(deadline) {}

void ClusterEnvironments::bind(std::string name, std::string revision) {
  bound_name_ = std::move(name);
  bound_revision_ = std::move(revision);
}

ClusterEnvironments::Answer ClusterEnvironments::failed(const kube::Error& error,
                                                        std::string_view what) const {
  if (error.kind == kube::Error::Kind::NotFound) return {Found::No, nullptr};
  if (trouble_.empty()) trouble_ = fmt::format("{}: {}", what, error.message);
  return {Found::Unknown, nullptr};
}

ClusterEnvironments::Answer ClusterEnvironments::find(std::string_view ns,
                                                      std::string_view name) const {
  const kube::ObjectKey key{std::string(ns), std::string(name)};
  const auto object = client_.get(controllers::kGoBuildEnvType, key, deadline_);
  if (!object) return failed(object.error(), fmt::format("GoBuildEnv {}/{}", ns, name));
  return serve(ns, name, *object);
}

ClusterEnvironments::Answer ClusterEnvironments::serve(std::string_view ns, std::string_view name,
                                                       const std::string& object) const {
  const auto environment = controllers::decode_environment(object);
  if (!environment) return {Found::NotServed, nullptr};
  const std::string revision = name == bound_name_ ? bound_revision_ : environment->value->current;
  if (revision.empty()) return {Found::NotServed, nullptr};
  const std::string config_map = goenv::config_map_name(name, revision);
  const auto files =
      client_.get(controllers::kConfigMapType, {std::string(ns), config_map}, deadline_);
  if (!files) {
    const auto answer = failed(files.error(), fmt::format("ConfigMap {}/{}", ns, config_map));
    return answer.found == Found::No ? Answer{Found::NotServed, nullptr} : answer;
  }
  auto content = controllers::read_config_map(*files);
  if (!content || !content->intact) return {Found::NotServed, nullptr};
  auto served = std::make_shared<ServedEnvironment>();
  served->ns = ns;
  served->name = name;
  served->revision = revision;
  served->config_map = config_map;
  served->pod_json = std::make_shared<const std::string>(std::move(content->pod_json));
  if (environment->value->rare().selecting) {
    served->pod_selector = environment->value->rare().selecting->selector;
  }
  return {Found::Yes, std::move(served)};
}

ClusterEnvironments::Candidates ClusterEnvironments::selecting(
    std::string_view ns, const webhooks::Labels& labels) const {
  Candidates out;
  kube::PagedList list;
  list.type = controllers::kGoBuildEnvType;
  list.options.ns = ns;
  const auto item = [&](std::string_view json) {
    const auto environment = controllers::decode_environment(json);
    if (!environment || !environment->value->rare().selecting ||
        !controllers::selects(environment->value->rare().selecting->selector, labels)) {
      return;
    }
    const std::string& name = environment->meta.key.name;
    auto answer = serve(ns, name, std::string(json));
    if (answer.environment) {
      out.environments.push_back(std::move(answer.environment));
    } else if (answer.found == Found::Unknown) {
      out.unknown.push_back(name);
    }
  };
  const auto walked = kube::list_all(
      client_, list, item, [&out] { out = {}; }, deadline_);
  if (!walked) {
    out.complete =
        failed(walked.error(), fmt::format("GoBuildEnvs of {}", ns)).found != Found::Unknown;
  }
  return out;
}

NamespaceInjection ClusterEnvironments::injection(std::string_view ns) const {
  const auto object = client_.get(controllers::kNamespaceType, {{}, std::string(ns)}, deadline_);
  if (!object) {
    const auto answer = failed(object.error(), fmt::format("Namespace {}", ns));
    return answer.found == Found::No ? NamespaceInjection::Unset : NamespaceInjection::Unknown;
  }
  const auto decoded = controllers::decode_namespace(*object);
  return decoded ? decoded->value->injection : NamespaceInjection::Unknown;
}

CsiDriver ClusterEnvironments::csi_driver() const {
  const auto object =
      client_.get(controllers::kCsiDriverType, {{}, std::string(goenv::kCsiDriver)}, deadline_);
  if (object) return CsiDriver::Registered;
  const auto answer = failed(object.error(), "CSIDriver");
  return answer.found == Found::No ? CsiDriver::Absent : CsiDriver::Unknown;
}

}  // namespace gobuildenv::cli
