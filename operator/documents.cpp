#include "operator/documents.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "crds/yaml.hpp"
#include "goenv/text.hpp"

namespace gobuildenv::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// Not by a stream: one of standard input takes an error for the end, one of a file throws.
tl::expected<std::string, std::string> read_text(const std::string& path, const std::string& name) {
  const bool standard = path == "-";
  const auto failed = [&name] {
    return tl::unexpected(fmt::format("{}: {}", name, std::strerror(errno)));
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(
      standard ? stdin : std::fopen(path.c_str(), "rbe"),
      [](std::FILE* file) { return file == stdin ? 0 : std::fclose(file); });
  if (!in) return failed();
  std::string text;
  std::array<char, 64 * 1024> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), in.get())) {
    text.append(buffer.data(), got);
  }
  if (std::ferror(in.get()) != 0) return failed();
  return text;
}

tl::expected<std::vector<std::string>, std::string> expand(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (path == "-" || !fs::is_directory(path, error)) return std::vector<std::string>{path};
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const auto extension = entry.path().extension();
    std::error_code unknown;
    if ((extension == ".yaml" || extension == ".yml" || extension == ".json") &&
        !entry.is_directory(unknown)) {
      out.push_back(entry.path().string());
    }
  }
  if (error) return tl::unexpected(fmt::format("{}: {}", path, error.message()));
  if (out.empty()) {
    return tl::unexpected(fmt::format("{}: the folder holds no .yaml, .yml or .json file", path));
  }
  std::sort(out.begin(), out.end());
  return out;
}

tl::expected<void, std::string> add(const Json& object, const std::string& source,
                                    std::vector<Document>& out) {
  if (!object.is_object()) {
    return tl::unexpected(fmt::format(
        "{}: this is no Kubernetes object, which has apiVersion, kind and metadata "
        "(is: {})",
        source, goenv::printable(object.dump(-1, ' ', false, Json::error_handler_t::replace))));
  }
  Document document{source, {}, text_of(object, "kind"), {}, {}};
  const auto items = object.find("items");
  if (document.kind.ends_with("List") && items != object.end() && items->is_array()) {
    // The items of a PodList are pods, and do not say so each.
    const std::string of_items = document.kind.substr(0, document.kind.size() - 4);
    for (const Json& item : *items) {
      Json typed;
      if (item.is_object() && !item.contains("kind") && !of_items.empty()) {
        typed = {{"apiVersion", text_of(object, "apiVersion")}, {"kind", of_items}};
        typed.update(item);
      }
      if (auto added = add(typed.is_null() ? item : typed, source, out); !added) return added;
    }
    return {};
  }
  if (const auto meta = object.find("metadata"); meta != object.end() && meta->is_object()) {
    document.ns = text_of(*meta, "namespace");
    document.name = text_of(*meta, "name");
    if (document.name.empty()) document.name = text_of(*meta, "generateName");
  }
  document.json = object.dump(-1, ' ', false, Json::error_handler_t::replace);
  out.push_back(std::move(document));
  return {};
}

}  // namespace

tl::expected<std::vector<Document>, std::string> read_documents(
    const std::vector<std::string>& paths) {
  std::vector<Document> out;
  for (const std::string& path : paths) {
    const auto files = expand(path);
    if (!files) return tl::unexpected(files.error());
    for (const std::string& file : *files) {
      const std::string name = file == "-" ? "standard input" : file;
      const auto text = read_text(file, name);
      if (!text) return tl::unexpected(text.error());
      const auto documents = crds::yaml_to_json(*text);
      if (!documents) return tl::unexpected(fmt::format("{}: {}", name, documents.error().message));
      for (const auto& document : *documents) {
        const Json object = Json::parse(document.json, nullptr, false);
        const auto added = add(object, fmt::format("{}:{}", name, document.line), out);
        if (!added) return tl::unexpected(added.error());
      }
    }
  }
  return out;
}

tl::expected<std::string, std::string> print_documents(const std::vector<std::string>& documents,
                                                       const std::string& format) {
  if (format == "json") {
    Json out;
    if (documents.size() == 1) {
      out = Json::parse(documents.front(), nullptr, false);
    } else {
      out = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", Json::array()}};
      for (const std::string& document : documents) {
        out["items"].push_back(Json::parse(document, nullptr, false));
      }
    }
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  std::string out;
  for (const std::string& document : documents) {
    auto yaml = crds::json_to_yaml(document);
    if (!yaml) return yaml;
    if (!out.empty()) out += "---\n";
    out += *yaml;
    if (!out.ends_with('\n')) out += '\n';
  }
  return out;
}

}  // namespace gobuildenv::cli
