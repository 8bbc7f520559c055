#pragma once

#include <nlohmann/json_fwd.hpp>

#include "crds/gobuildenv.hpp"

/// Parts of the codec shared between its files; not for other folders.
namespace gobuildenv::crds {

class JsonReader;

/// The members of `spec`; errors go to the reader.
goenv::Spec read_spec(JsonReader reader);

/// The members of `status`; errors go to the reader.
Status read_status(JsonReader reader);

nlohmann::ordered_json spec_to_json(const goenv::Spec& spec);
nlohmann::ordered_json status_to_json(const Status& status);

}  // namespace gobuildenv::crds
