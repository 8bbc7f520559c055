#include "kube/exec_plugin.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "kube/base64.hpp"
#include "kube/rfc3339.hpp"
#include "kube/subprocess.hpp"

namespace gobuildenv::kube {
namespace {

using nlohmann::json;

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

tl::expected<ExecCredential, std::string> parse_exec_credential(std::string_view text,
                                                                const std::string& api_version) {
  using Bad = tl::unexpected<std::string>;
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object() || text_of(root, "kind") != "ExecCredential") {
    return Bad("its output is not an ExecCredential");
  }
  if (text_of(root, "apiVersion") != api_version) {
    return Bad(fmt::format("its output is not of apiVersion {}", api_version));
  }
  const auto status = root.find("status");
  if (status == root.end() || !status->is_object()) {
    return Bad("its output has no status");
  }
  ExecCredential out;
  out.token = text_of(*status, "token");
  out.certificate = text_of(*status, "clientCertificateData");
  out.key = text_of(*status, "clientKeyData");
  if (out.certificate.empty() != out.key.empty()) {
    return Bad("its output has only one of clientCertificateData and clientKeyData");
  }
  if (out.token.empty() && out.certificate.empty()) {
    return Bad("its output has neither a token nor a client certificate");
  }
  if (const std::string expires = text_of(*status, "expirationTimestamp"); !expires.empty()) {
    out.expires = parse_rfc3339(expires);
    if (!out.expires) {
      return Bad("its expirationTimestamp is not a time (RFC 3339)");
    }
  }
  return out;
}

std::string exec_info(const ExecConfig& exec, const ClusterConfig& cluster, const std::string& ca) {
  json info{{"apiVersion", exec.api_version},
            {"kind", "ExecCredential"},
            {"spec", {{"interactive", false}}}};
  if (exec.provide_cluster_info) {
    json& told = info["spec"]["cluster"];
    told["server"] = fmt::format("{}://{}{}", cluster.server.tls ? "https" : "http",
                                 cluster.server.authority(), cluster.server.path);
    if (!cluster.server_name.empty()) {
      told["tls-server-name"] = cluster.server_name;
    }
    if (cluster.insecure) {
      told["insecure-skip-tls-verify"] = true;
    }
    if (!ca.empty()) {
      told["certificate-authority-data"] = encode_base64(ca);
    }
  }
  return info.dump(-1, ' ', true, json::error_handler_t::replace);
}

tl::expected<ExecCredential, ConfigError> run_exec_plugin(const ClusterConfig& cluster,
                                                          const std::string& ca,
                                                          Deadline deadline) {
  const ExecConfig& exec = *cluster.exec;
  const auto bad = [&](std::string problem, std::string fix) {
    return tl::unexpected(ConfigError{cluster.origin, fmt::format("exec.command={}", exec.command),
                                      std::move(problem), std::move(fix)});
  };
  Command command;
  command.argv.push_back(exec.command);
  command.argv.insert(command.argv.end(), exec.args.begin(), exec.args.end());
  command.env = exec.env;
  command.env.emplace_back("KUBERNETES_EXEC_INFO", exec_info(exec, cluster, ca));
  command.deadline = deadline;
  auto output = run_command(command);
  if (!output) {
    const bool missing = output.error().kind == CommandError::Kind::NotFound;
    return bad(output.error().message, missing && !exec.install_hint.empty()
                                           ? exec.install_hint
                                           : (missing ? "install the plugin or correct its path"
                                                      : "run the plugin by hand to see why"));
  }
  auto credential = parse_exec_credential(*output, exec.api_version);
  if (!credential) {
    return bad(credential.error(), "update the plugin");
  }
  return *std::move(credential);
}

}  // namespace gobuildenv::kube
