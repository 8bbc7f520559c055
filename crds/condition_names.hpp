#pragma once

#include "crds/gobuildenv.hpp"
#include "goenv/enum_names.hpp"

/// The words of metav1.Condition's status; not for other folders.
namespace gobuildenv::goenv {

template <>
struct EnumNames<crds::ConditionStatus> {
  static constexpr std::array kNames{
      std::pair{crds::ConditionStatus::Unknown, std::string_view{"Unknown"}},
      std::pair{crds::ConditionStatus::True, std::string_view{"True"}},
      std::pair{crds::ConditionStatus::False, std::string_view{"False"}}};
};

}  // namespace gobuildenv::goenv
