#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "crds/gobuildenv.hpp"

/// The compact form in which the cache keeps the status of 10,000 environments, and metav1.Time.
namespace gobuildenv::controllers {

/// A quarter of the JSON text's size and a tenth of the structs'. unpack_status(pack_status(s)) ==
/// s for statuses whose times are written as format_time() writes them.
std::string pack_status(const crds::Status& status);
/// Only for what pack_status gave; a damaged text gives an empty Status.
crds::Status unpack_status(std::string_view packed);

/// "2026-11-22T10:58:50Z"; UTC, whole seconds, as metav1.Time is written.
std::string format_time(std::int64_t unix_seconds);
/// The reverse, fractions and offsets accepted; 0 for what is not RFC 3339.
std::int64_t parse_time(std::string_view text);

}  // namespace gobuildenv::controllers
