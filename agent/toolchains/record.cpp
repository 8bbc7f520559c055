#include "agent/toolchains/record.hpp"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

namespace gobuildenv::agent {

std::string encode_record(const ToolchainRecord& record) {
  const nlohmann::ordered_json json = {{"h1", record.h1},
                                       {"bytes", record.bytes},
                                       {"files", record.files},
                                       {"fetchedAt", record.fetched_at},
                                       {"source", record.source}};
  // A proxy's URL may be any bytes.
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::optional<ToolchainRecord> decode_record(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  const auto text_of = [&json](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? std::optional(found->get<std::string>())
                                                     : std::nullopt;
  };
  // Numbers with a fraction or beyond their type are no counts; the library would convert them.
  const auto count_of = [&json](const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_number_unsigned()
               ? std::optional(found->get<std::uint64_t>())
               : std::nullopt;
  };
  const auto h1 = text_of("h1");
  const auto bytes = count_of("bytes");
  const auto files = count_of("files");
  const auto fetched_at = count_of("fetchedAt");
  const auto source = text_of("source");
  if (!h1 || !bytes || !files || !fetched_at || !source ||
      *fetched_at > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    return std::nullopt;
  }
  return ToolchainRecord{*h1, *bytes, *files, static_cast<std::int64_t>(*fetched_at), *source};
}

}  // namespace gobuildenv::agent
