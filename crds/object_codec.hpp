#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "crds/gobuildenv.hpp"

/// Parts of the codec shared between its files; not for other folders.
namespace gobuildenv::crds {

class JsonReader;

/// The members of `spec`; errors go to the reader.
goenv::Spec read_spec(JsonReader reader);

/// The JSON text of `status`; nothing when it is not what the schema says.
std::optional<Status> read_status(std::string_view status_json);

nlohmann::ordered_json spec_to_json(const goenv::Spec& spec);

}  // namespace gobuildenv::crds
