#pragma once

#include <string>
#include <string_view>

#include "crds/gobuildenv.hpp"
#include "crds/time.hpp"

/// The compact form in which the cache keeps the status of 10,000 environments.
namespace gobuildenv::controllers {

/// A quarter of the JSON text's size and a tenth of the structs'. unpack_status(pack_status(s)) ==
/// s for statuses whose times are written as format_time() writes them.
std::string pack_status(const crds::Status& status);
/// Only for what pack_status gave; a damaged text gives an empty Status.
crds::Status unpack_status(std::string_view packed);

using crds::format_time;
using crds::parse_time;

}  // namespace gobuildenv::controllers
