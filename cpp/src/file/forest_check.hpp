// Proves that arrays from outside are a forest: every rule of forest.hpp, so that nothing that
// reads a checked forest can leave an array or find it wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "w2stree/base/execution.hpp"
#include "w2stree/forest/forest.hpp"

namespace w2stree {

/// Where a forest breaks a rule.
struct ForestDefect {
  std::string_view column;
  std::size_t index;
  std::string_view expected;
};

/// The first defect of the first tree that has one. Columns must have the sizes of forest.hpp, at
/// least one element where that is "+ 1"; their values may be anything, and those of action_id and
/// observation_id stay unchecked but for siblings: what they may be is for the tables they index.
/// O(num_chains), and O(k log k) at a node of k children. Interruptible.
///
/// return_sum is held to within rounding: adding the returns up once more in input order would
/// cost more than all the rest.
std::optional<ForestDefect> find_defect(const Forest& forest, const Execution& execution);

}  // namespace w2stree
