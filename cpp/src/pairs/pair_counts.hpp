// How many pairs each divergence has, without enumerating: two ways, chosen by what returns are.
#pragma once

#include <cstdint>
#include <vector>

#include "pairs/return_order.hpp"
#include "w2stree/base/execution.hpp"
#include "w2stree/forest/forest.hpp"

namespace w2stree {

/// [num_chains] see count_pairs.
std::vector<std::int64_t> count_pairs(const Forest& forest, const ReturnOrder& order,
                                      const Execution& execution);

}  // namespace w2stree
