#include "kube/kubeconfig.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <set>

#include "kube/base64.hpp"

namespace gobuildenv::kube {
namespace {

constexpr const char* kExecV1 = "client.authentication.k8s.io/v1";
constexpr const char* kExecV1Beta1 = "client.authentication.k8s.io/v1beta1";

/// Reads fields of one file and remembers the first thing that is wrong. Values never go into
/// messages: any of them may be a secret.
class Reader {
 public:
  explicit Reader(std::string file)
      : file_(std::move(file)), folder_(std::filesystem::path(file_).parent_path().string()) {}

  void fail(const std::string& field, std::string problem, std::string fix) {
    if (!error_) {
      error_ = ConfigError{file_, field, std::move(problem), std::move(fix)};
    }
  }

  std::string text(const YAML::Node& map, const std::string& at, const char* key) {
    const YAML::Node node = child(map, key);
    if (!node.IsDefined() || node.IsNull()) {
      return {};
    }
    if (!node.IsScalar()) {
      fail(at + "." + key, "it is not a string", "write one value, in quotes");
      return {};
    }
    return node.Scalar();
  }

  bool flag(const YAML::Node& map, const std::string& at, const char* key) {
    const std::string value = text(map, at, key);
    if (value.empty() || value == "false") {
      return false;
    }
    if (value != "true") {
      fail(at + "." + key, "it is neither true nor false", "write true or false");
    }
    return value == "true";
  }

  std::vector<std::string> texts(const YAML::Node& map, const std::string& at, const char* key) {
    std::vector<std::string> out;
    for (const YAML::Node& item : list(map, at, key)) {
      if (!item.IsScalar()) {
        fail(at + "." + key, "an item is not a string", "write a list of strings");
        return {};
      }
      out.push_back(item.Scalar());
    }
    return out;
  }

  std::map<std::string, std::vector<std::string>> text_lists(const YAML::Node& map,
                                                             const std::string& at,
                                                             const char* key) {
    std::map<std::string, std::vector<std::string>> out;
    const YAML::Node node = child(map, key);
    if (!node.IsDefined() || node.IsNull()) {
      return out;
    }
    const std::string field = at + "." + key;
    if (!node.IsMap()) {
      fail(field, "it is not an object", "write a list of strings for each key");
      return out;
    }
    for (const auto& item : node) {
      if (!item.first.IsScalar() || item.first.Scalar().empty()) {
        fail(field, "a key is not a name", "write a list of strings for each key");
        return {};
      }
      const std::string& name = item.first.Scalar();
      out.emplace(name, texts(node, field, name.c_str()));
    }
    return out;
  }

  std::string path(const YAML::Node& map, const std::string& at, const char* key) {
    std::string value = text(map, at, key);
    return value.empty() ? value : against_folder(value);
  }

  PemSource pem(const YAML::Node& map, const std::string& at, const char* key) {
    PemSource out;
    out.file = path(map, at, key);
    const std::string data_key = std::string(key) + "-data";
    const std::string encoded = text(map, at, data_key.c_str());
    if (!encoded.empty()) {
      auto decoded = decode_base64(encoded);
      if (!decoded) {
        fail(at + "." + data_key, "it is not base64",
             fmt::format("encode the PEM file with base64, or name the file in {}", key));
      } else {
        out.data = *std::move(decoded);
      }
    }
    return out;
  }

  std::vector<YAML::Node> list(const YAML::Node& map, const std::string& at, const char* key) {
    std::vector<YAML::Node> out;
    const YAML::Node node = child(map, key);
    if (!node.IsDefined() || node.IsNull()) {
      return out;
    }
    if (!node.IsSequence()) {
      fail(at.empty() ? key : at + "." + key, "it is not a list", "write a list");
      return out;
    }
    for (const auto& item : node) {
      out.push_back(item);
    }
    return out;
  }

  /// Calls `each(name, body, field)` for the named entries of a top-level list.
  template <class Each>
  void entries(const YAML::Node& root, const char* key, const char* body_key, Each each) {
    std::set<std::string> seen;
    std::size_t index = 0;
    for (const YAML::Node& item : list(root, "", key)) {
      const std::string numbered = fmt::format("{}[{}]", key, index++);
      if (!item.IsMap()) {
        fail(numbered, "it is not an object", "write name and " + std::string(body_key));
        return;
      }
      const std::string name = text(item, numbered, "name");
      if (name.empty()) {
        fail(numbered + ".name", "it is missing", "give the entry a name");
        return;
      }
      if (!seen.insert(name).second) {
        fail(fmt::format("{}[{}]", key, name), "two entries have this name", "rename one of them");
        return;
      }
      each(name, child(item, body_key), fmt::format("{}[{}].{}", key, name, body_key));
    }
  }

  std::string against_folder(const std::string& value) const {
    const std::filesystem::path given(value);
    return given.is_absolute() || folder_.empty()
               ? value
               : (std::filesystem::path(folder_) / given).lexically_normal().string();
  }

  static YAML::Node child(const YAML::Node& map, const char* key) {
    return map.IsDefined() && map.IsMap() ? map[key] : YAML::Node(YAML::NodeType::Undefined);
  }

  const std::string& file() const { return file_; }
  const std::optional<ConfigError>& error() const { return error_; }

 private:
  std::string file_;
  std::string folder_;
  std::optional<ConfigError> error_;
};

ExecConfig read_exec(Reader& reader, const YAML::Node& node, const std::string& at) {
  ExecConfig exec;
  exec.api_version = reader.text(node, at, "apiVersion");
  if (exec.api_version != kExecV1 && exec.api_version != kExecV1Beta1) {
    reader.fail(at + ".apiVersion", "this version of the exec protocol is not known",
                fmt::format("update the plugin and write {}", kExecV1));
  }
  exec.command = reader.text(node, at, "command");
  if (exec.command.empty()) {
    reader.fail(at + ".command", "it is missing", "name the credential plugin to run");
  } else if (exec.command.find('/') != std::string::npos) {
    exec.command = reader.against_folder(exec.command);
  }
  exec.args = reader.texts(node, at, "args");
  for (const YAML::Node& item : reader.list(node, at, "env")) {
    const std::string name = reader.text(item, at + ".env", "name");
    if (name.empty() || name.find('=') != std::string::npos) {
      reader.fail(at + ".env", "an item has no usable name", "write name and value for each");
      break;
    }
    exec.env.emplace_back(name, reader.text(item, at + ".env", "value"));
  }
  exec.install_hint = reader.text(node, at, "installHint");
  exec.provide_cluster_info = reader.flag(node, at, "provideClusterInfo");
  const std::string mode = reader.text(node, at, "interactiveMode");
  if (mode == "Always") {
    reader.fail(at + ".interactiveMode", "the plugin wants a terminal and there is none",
                "use a user entry that works unattended (Never or IfAvailable)");
  } else if (!mode.empty() && mode != "Never" && mode != "IfAvailable") {
    reader.fail(at + ".interactiveMode", "this mode is not known",
                "write Never, IfAvailable or Always");
  } else if (mode.empty() && exec.api_version == kExecV1) {
    reader.fail(at + ".interactiveMode", "it is missing, and v1 demands it",
                "write Never or IfAvailable");
  }
  return exec;
}

UserEntry read_user(Reader& reader, const YAML::Node& node, const std::string& at) {
  UserEntry user;
  user.file = reader.file();
  user.token = reader.text(node, at, "token");
  user.token_file = reader.path(node, at, "tokenFile");
  user.certificate = reader.pem(node, at, "client-certificate");
  user.key = reader.pem(node, at, "client-key");
  user.username = reader.text(node, at, "username");
  user.password = reader.text(node, at, "password");
  user.impersonate = reader.text(node, at, "as");
  user.impersonate_uid = reader.text(node, at, "as-uid");
  user.impersonate_groups = reader.texts(node, at, "as-groups");
  user.impersonate_extra = reader.text_lists(node, at, "as-user-extra");
  if (const YAML::Node exec = Reader::child(node, "exec"); exec.IsDefined() && !exec.IsNull()) {
    if (exec.IsMap()) {
      user.exec = read_exec(reader, exec, at + ".exec");
    } else {
      reader.fail(at + ".exec", "it is not an object", "write apiVersion and command");
    }
  }
  if (const YAML::Node old = Reader::child(node, "auth-provider");
      old.IsDefined() && !old.IsNull()) {
    reader.fail(at + ".auth-provider", "Kubernetes removed this in 1.26",
                "use an exec plugin of your cloud instead");
  }
  return user;
}

void read_root(Reader& reader, const YAML::Node& root, Kubeconfig& out) {
  if (!root.IsDefined() || root.IsNull()) {
    return;
  }
  if (!root.IsMap()) {
    reader.fail("", "it is not a kubeconfig", "write an object with kind: Config");
    return;
  }
  if (const std::string kind = reader.text(root, "", "kind"); !kind.empty() && kind != "Config") {
    reader.fail("kind", "it is not Config", "name a kubeconfig file");
  }
  out.current_context = reader.text(root, "", "current-context");
  reader.entries(root, "clusters", "cluster",
                 [&](const std::string& name, const YAML::Node& node, const std::string& at) {
                   ClusterEntry cluster;
                   cluster.file = reader.file();
                   cluster.server = reader.text(node, at, "server");
                   cluster.tls_server_name = reader.text(node, at, "tls-server-name");
                   cluster.insecure = reader.flag(node, at, "insecure-skip-tls-verify");
                   cluster.ca = reader.pem(node, at, "certificate-authority");
                   cluster.proxy_url = reader.text(node, at, "proxy-url");
                   out.clusters.emplace(name, std::move(cluster));
                 });
  reader.entries(root, "users", "user",
                 [&](const std::string& name, const YAML::Node& node, const std::string& at) {
                   out.users.emplace(name, read_user(reader, node, at));
                 });
  reader.entries(root, "contexts", "context",
                 [&](const std::string& name, const YAML::Node& node, const std::string& at) {
                   ContextEntry context;
                   context.file = reader.file();
                   context.cluster = reader.text(node, at, "cluster");
                   context.user = reader.text(node, at, "user");
                   context.ns = reader.text(node, at, "namespace");
                   out.contexts.emplace(name, std::move(context));
                 });
}

template <class Map>
std::string names_of(const Map& map) {
  std::string out;
  for (const auto& [name, entry] : map) {
    out += (out.empty() ? "" : ", ") + name;
  }
  return out.empty() ? "there are none" : "there are: " + out;
}

}  // namespace

std::string ConfigError::text() const {
  return field.empty() ? fmt::format("{}: {}; {}", file, problem, fix)
                       : fmt::format("{}: {}: {}; {}", file, field, problem, fix);
}

tl::expected<Kubeconfig, ConfigError> parse_kubeconfig(std::string_view text,
                                                       const std::string& file) {
  Reader reader(file);
  Kubeconfig out;
  try {
    read_root(reader, YAML::Load(std::string(text)), out);
  } catch (const YAML::Exception& error) {
    // Only the place: the library's text may quote the line, which may hold a token.
    reader.fail("",
                fmt::format("it is not YAML at line {}, column {}", error.mark.line + 1,
                            error.mark.column + 1),
                "correct the file");
  }
  if (reader.error()) {
    return tl::unexpected(*reader.error());
  }
  return out;
}

Kubeconfig merge_kubeconfigs(const std::vector<Kubeconfig>& files) {
  Kubeconfig merged;
  for (const Kubeconfig& file : files) {
    if (merged.current_context.empty()) {
      merged.current_context = file.current_context;
    }
    // map::insert keeps what is there already.
    merged.clusters.insert(file.clusters.begin(), file.clusters.end());
    merged.users.insert(file.users.begin(), file.users.end());
    merged.contexts.insert(file.contexts.begin(), file.contexts.end());
  }
  return merged;
}

tl::expected<ClusterConfig, ConfigError> resolve_context(const Kubeconfig& config,
                                                         const std::string& context) {
  using Bad = tl::unexpected<ConfigError>;
  const std::string& wanted = context.empty() ? config.current_context : context;
  if (wanted.empty()) {
    return Bad({"kubeconfig", "current-context", "no context is chosen",
                "name one with --context; " + names_of(config.contexts)});
  }
  const auto picked = config.contexts.find(wanted);
  if (picked == config.contexts.end()) {
    return Bad({"kubeconfig", fmt::format("contexts[{}]", wanted), "there is no such context",
                names_of(config.contexts)});
  }
  const std::string at = fmt::format("contexts[{}].context", wanted);
  const auto cluster = config.clusters.find(picked->second.cluster);
  if (cluster == config.clusters.end()) {
    return Bad({picked->second.file, at + ".cluster", "there is no such cluster",
                names_of(config.clusters)});
  }
  const std::string cluster_at = fmt::format("clusters[{}].cluster", cluster->first);
  ClusterConfig out;
  out.origin = cluster->second.file;
  auto url = parse_url(cluster->second.server);
  if (!url) {
    return Bad(
        {cluster->second.file, cluster_at + ".server", url.error(), "write https://HOST:PORT"});
  }
  if (!cluster->second.proxy_url.empty()) {
    auto proxy = parse_http_proxy(cluster->second.proxy_url);
    if (!proxy) {
      return Bad({cluster->second.file, cluster_at + ".proxy-url", proxy.error(),
                  "write http://[USER:PASSWORD@]HOST:PORT"});
    }
    out.proxy = *std::move(proxy);
  }
  out.server = *std::move(url);
  out.server_name = cluster->second.tls_server_name;
  out.insecure = cluster->second.insecure;
  out.ca = cluster->second.ca;
  if (out.insecure && !out.ca.empty()) {
    return Bad({cluster->second.file, cluster_at + ".insecure-skip-tls-verify",
                "it contradicts certificate-authority", "remove one of the two"});
  }
  if (!picked->second.ns.empty()) {
    out.ns = picked->second.ns;
  }
  // As client-go: who talks in the clear shows no credentials.
  if (picked->second.user.empty() || !out.server.tls) {
    return out;
  }
  const auto found = config.users.find(picked->second.user);
  if (found == config.users.end()) {
    return Bad(
        {picked->second.file, at + ".user", "there is no such user", names_of(config.users)});
  }
  const UserEntry& user = found->second;
  const std::string user_at = fmt::format("users[{}].user", found->first);
  if (user.certificate.empty() != user.key.empty()) {
    return Bad({user.file, user_at + (user.key.empty() ? ".client-key" : ".client-certificate"),
                "it is missing", "give client-certificate and client-key together"});
  }
  const bool has_token = !user.token.empty() || !user.token_file.empty();
  if (has_token && !user.username.empty()) {
    return Bad({user.file, user_at + ".username", "it contradicts token", "remove one of the two"});
  }
  const bool more = !user.impersonate_groups.empty() || !user.impersonate_uid.empty() ||
                    !user.impersonate_extra.empty();
  if (more && user.impersonate.empty()) {
    return Bad({user.file, user_at + ".as", "it is missing", "name the user to act as"});
  }
  out.origin = user.file;
  out.token = user.token;
  out.token_file = user.token_file;
  out.certificate = user.certificate;
  out.key = user.key;
  out.username = user.username;
  out.password = user.password;
  out.impersonate = user.impersonate;
  out.impersonate_uid = user.impersonate_uid;
  out.impersonate_groups = user.impersonate_groups;
  out.impersonate_extra = user.impersonate_extra;
  if (!has_token) {
    out.exec = user.exec;
  }
  return out;
}

}  // namespace gobuildenv::kube
