#include "webhooks/pod/ci_systems.hpp"

#include <array>

#include "webhooks/pod/glob.hpp"

namespace gobuildenv::webhooks {
namespace {

using Names = std::string_view;

// Argo Workflows: workflow/common/common.go. Artifact drivers run as "artifact-plugin-NAME" beside
// the main container and as "init-artifact-NAME" before it.
constexpr std::array<Names, 5> kArgoHelpers{"init", "wait", "supervisor", "artifact-plugin-*",
                                            "init-artifact-*"};

// Tekton: pkg/pod/pod.go, pkg/pod/script.go. Sidecars are stopped by image swap: leave them be.
constexpr std::array<Names, 1> kTektonBuilders{"step-*"};
constexpr std::array<Names, 4> kTektonHelpers{"prepare", "place-scripts", "working-dir-initializer",
                                              "sidecar-*"};

// Actions Runner Controller: a runner pod, and the job pods of its Kubernetes mode.
constexpr std::array<Names, 1> kRunnerBuilders{"runner"};
constexpr std::array<Names, 2> kRunnerHelpers{"dind", "init-dind-externals"};
constexpr std::array<Names, 1> kJobBuilders{"job"};
constexpr std::array<Names, 1> kJobHelpers{"fs-init"};

// GitLab runner's Kubernetes executor.
constexpr std::array<Names, 1> kGitLabBuilders{"build"};
constexpr std::array<Names, 3> kGitLabHelpers{"helper", "init-permissions", "svc-*"};

// Jenkins' kubernetes-plugin: jnlp is the agent, in which some pipelines build all the same.
constexpr std::array<Names, 1> kJenkinsHelpers{"set-up-jenkins-agent"};
constexpr std::array<Names, 1> kJenkinsOnRequest{"jnlp"};

constexpr std::array<Names, 4> kBuildkiteHelpers{"agent", "copy-agent", "checkout", "imagecheck-*"};

constexpr std::array<CiSystem, 8> kSystems{{
    {"Argo Workflows", "workflows.argoproj.io/workflow", "", {}, kArgoHelpers, {}},
    {"Tekton", "tekton.dev/taskRun", "", kTektonBuilders, kTektonHelpers, {}},
    {"Actions Runner Controller",
     "actions-ephemeral-runner",
     "True",
     kRunnerBuilders,
     kRunnerHelpers,
     {}},
    {"Actions Runner Controller", "runner-pod", "", kJobBuilders, kJobHelpers, {}},
    {"GitLab runner", "job.runner.gitlab.com/pod", "", kGitLabBuilders, kGitLabHelpers, {}},
    {"Jenkins", "jenkins/label", "", {}, kJenkinsHelpers, kJenkinsOnRequest},
    {"Jenkins", "kubernetes.jenkins.io/controller", "", {}, kJenkinsHelpers, kJenkinsOnRequest},
    {"Buildkite", "buildkite.com/job-uuid", "", {}, kBuildkiteHelpers, {}},
}};

constexpr std::array<Names, 6> kInjectedHelpers{"istio-proxy",   "istio-init",   "istio-validation",
                                                "linkerd-proxy", "linkerd-init", "vault-agent*"};

}  // namespace

const CiSystem* recognise(const StringPairs& labels) {
  for (const CiSystem& system : kSystems) {
    const auto value = PodView::get(labels, system.label);
    if (value && (system.value.empty() || *value == system.value)) return &system;
  }
  return nullptr;
}

std::string_view own_pod_of_system(const StringPairs& labels) {
  if (PodView::get(labels, "workflows.argoproj.io/component")) {
    return "a pod of Argo Workflows itself";
  }
  if (PodView::get(labels, "app.kubernetes.io/component") == "runner-scale-set-listener") {
    return "a listener of Actions Runner Controller";
  }
  return {};
}

bool is_injected_helper(std::string_view container) {
  return glob_match_any(kInjectedHelpers, container);
}

}  // namespace gobuildenv::webhooks
