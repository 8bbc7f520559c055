#include "controllers/nodes/records.hpp"

#include <simdjson.h>

#include <algorithm>
#include <map>

#include "controllers/shared_pool.hpp"
#include "goenv/names.hpp"
#include "goenv/patterns.hpp"
#include "kube/object_meta.hpp"

namespace gobuildenv::controllers {

const kube::ResourceType kNodeCacheType{std::string(goenv::kGroup), std::string(goenv::kVersion),
                                        "gonodecaches", "GoNodeCache", false};

namespace {

namespace dom = simdjson::dom;

std::string_view text(const dom::element& object, std::string_view key) {
  std::string_view value;
  if (object[key].get(value) != simdjson::SUCCESS) return {};
  return value;
}

/// Few lists are alive at a time: one for each way in which nodes differ.
std::shared_ptr<const ToolchainMarks> shared_marks(ToolchainMarks marks) {
  static SharedPool<std::map<ToolchainMarks, std::weak_ptr<const ToolchainMarks>>> lists;
  return lists.get(std::move(marks));
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_'; }

/// Whether a condition may have this reason: `[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?`, as in the
/// CustomResourceDefinition. One node's word must not make the API server refuse the status of
/// every environment with its toolchain.
bool is_reason(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && is_word(text.back()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_word(c) || c == ',' || c == ':'; });
}

/// GOOS or GOARCH, within what a GoNodeCache may hold.
bool is_platform_word(std::string_view text) {
  return !text.empty() && text.size() <= 16 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

/// What a ready toolchain was verified with; what is no checksum is not taken over.
goenv::ToolchainSum verified_with(const dom::element& toolchain) {
  const std::string_view os = text(toolchain, "os");
  const std::string_view arch = text(toolchain, "arch");
  const std::string_view sum = text(toolchain, "sum");
  if (!is_platform_word(os) || !is_platform_word(arch) || goenv::check_h1(sum)) return {};
  return {std::string(os), std::string(arch), std::string(sum)};
}

void add_marks(const dom::element& toolchain, ToolchainMarks& out) {
  const std::string_view state = text(toolchain, "state");
  const std::string_view version = text(toolchain, "version");
  const std::string_view sum = text(toolchain, "sum");
  const bool is_private = text(toolchain, "key").starts_with("ns-");
  if (version.empty() || (state != "Ready" && state != "Failed")) return;
  const bool ready = state == "Ready";
  const std::string_view told = text(toolchain, "reason");
  const std::string reason(ready || !is_reason(told) ? std::string_view() : told);
  const goenv::ToolchainSum verified = ready ? verified_with(toolchain) : goenv::ToolchainSum{};
  if (!is_private) out.push_back({mark_key(version), ready, reason, verified});
  if (!sum.empty()) out.push_back({mark_key(version, sum), ready, reason, verified});
}

}  // namespace

std::string mark_key(std::string_view version, std::string_view sum) {
  std::string out(version);
  if (!sum.empty()) (out += ' ') += sum;
  return out;
}

tl::expected<kube::Decoded<NodeRecord>, std::string> decode_node(std::string_view json) {
  auto identity = kube::decode_identity(json);
  if (!identity) return tl::unexpected(std::move(identity.error()));
  thread_local dom::parser parser;
  dom::element object;
  if (const auto error = parser.parse(json.data(), json.size()).get(object)) {
    return tl::unexpected(std::string(simdjson::error_message(error)));
  }
  ToolchainMarks marks;
  dom::array toolchains;
  if (object["status"]["toolchains"].get(toolchains) == simdjson::SUCCESS) {
    for (const dom::element toolchain : toolchains) add_marks(toolchain, marks);
  }
  // One mark a key: what is ready somewhere is ready.
  std::sort(marks.begin(), marks.end(), [](const ToolchainMark& a, const ToolchainMark& b) {
    if (a.key != b.key) return a.key < b.key;
    return a.ready != b.ready ? a.ready : a.verified < b.verified;
  });
  marks.erase(std::unique(marks.begin(), marks.end(),
                          [](const auto& a, const auto& b) { return a.key == b.key; }),
              marks.end());
  auto record = std::make_shared<NodeRecord>();
  record->marks = shared_marks(std::move(marks));
  return kube::Decoded<NodeRecord>{std::move(identity->meta), std::move(record)};
}

}  // namespace gobuildenv::controllers
