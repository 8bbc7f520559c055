#pragma once

#include "crds/node_cache.hpp"
#include "goenv/enum_names.hpp"

/// The words of a node's toolchain's state.
namespace gobuildenv::goenv {

template <>
struct EnumNames<crds::ToolchainPhase> {
  static constexpr std::array kNames{
      std::pair{crds::ToolchainPhase::Ready, std::string_view{"Ready"}},
      std::pair{crds::ToolchainPhase::Fetching, std::string_view{"Fetching"}},
      std::pair{crds::ToolchainPhase::Failed, std::string_view{"Failed"}}};
};

}  // namespace gobuildenv::goenv
