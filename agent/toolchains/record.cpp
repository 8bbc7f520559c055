#include "agent/toolchains/record.hpp"

#include <nlohmann/json.hpp>

namespace gobuildenv::agent {

std::string encode_record(const ToolchainRecord& record) {
  const nlohmann::ordered_json json = {{"h1", record.h1},
                                       {"bytes", record.bytes},
                                       {"files", record.files},
                                       {"fetchedAt", record.fetched_at},
                                       {"source", record.source}};
  return json.dump(2) + "\n";
}

std::optional<ToolchainRecord> decode_record(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  try {
    ToolchainRecord record;
    json.at("h1").get_to(record.h1);
    json.at("bytes").get_to(record.bytes);
    json.at("files").get_to(record.files);
    json.at("fetchedAt").get_to(record.fetched_at);
    json.at("source").get_to(record.source);
    return record;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace gobuildenv::agent
