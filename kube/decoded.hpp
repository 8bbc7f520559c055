#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "kube/client.hpp"

namespace gobuildenv::kube {

/// What every cached object gives to the informer beside its decoded value.
struct ObjectMeta {
  ObjectKey key;
  std::string uid;
  std::string resource_version;
};

/// An object as the cache keeps it: its identity and the decoded, immutable value.
template <class T>
struct Decoded {
  ObjectMeta meta;
  std::shared_ptr<const T> value;
};

/// Turns the JSON text of one object into what the cache keeps. It runs on the reflector's thread,
/// drops what is not needed (managedFields first), and must not throw: a malformed object gives an
/// error sentence, is logged and counted, and never breaks the rest of the list.
template <class T>
using Decoder = std::function<tl::expected<Decoded<T>, std::string>(std::string_view json)>;

}  // namespace gobuildenv::kube
