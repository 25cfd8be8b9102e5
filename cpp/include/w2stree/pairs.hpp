// Preference pairs (Eq. 6): index triples, no text.
//
//              h  shared prefix                 divergence = node after h
//            a/ \b                              chosen     = trajectory with return 1.0
//        1.0 o   o 0.3                          rejected   = trajectory with return 0.3
//                                               gap        = 1.0 - 0.3
#pragma once

#include <cstdint>
#include <vector>

#include "w2stree/forest.hpp"

namespace w2stree {

/// Columns of equal length, ordered by divergence node, then chosen, then rejected index.
struct Pairs {
  std::vector<std::int32_t> divergence;  // node id
  std::vector<std::int32_t> chosen;      // trajectory index
  std::vector<std::int32_t> rejected;    // trajectory index
  std::vector<double> gap;               // total_return of chosen - of rejected, > 0
};

/// Every two trajectories that leave a node by different actions and whose returns differ:
/// gap > 0 and gap >= min_gap. Equal actions with different observations are luck and give no
/// pair at that node; a trajectory that ends at the node has no action there and takes no part.
/// Throws InvalidInput unless min_gap is finite and >= 0. O(k^2) at a divergence of k
/// trajectories: ask count_pairs first where a tree may be large.
Pairs enumerate_pairs(const Forest& forest, double min_gap);

/// [num_chains] how many pairs of enumerate_pairs diverge after each chain, without enumerating:
/// O(k log k) at a divergence. Throws as enumerate_pairs does.
std::vector<std::int64_t> count_pairs(const Forest& forest, double min_gap);

}  // namespace w2stree
