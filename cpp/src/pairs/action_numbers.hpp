// The actions at a divergence, numbered by first appearance among its children.
//
//   child       0   1   2   3        children 0 and 2 are one action, answered differently
//   action_id   7   3   7   9
//   number      0   1   0   2
#pragma once

#include <cstdint>
#include <vector>

#include "w2stree/forest/forest.hpp"

namespace w2stree {

/// Writes the number of each child's action into `number`. O(children), or O(children log
/// children) where some share an action.
void number_actions(const Forest& forest, std::int32_t chain, std::vector<std::int32_t>& number);

}  // namespace w2stree
