// Monte-Carlo tree search (Eq. 7) offline on the frozen forest: no expansion, no model calls.
//
//   arms of a node, in order:        STOP   child   child   …
//                                     │       │       │
//   an arm is the node it leads to:  node   node+1   …        (STOP leads to the node itself)
//
// A leaf has STOP only. An inner node where trajectories end has STOP first, then its children,
// because ending there is the shorter path; without stop_arm it has its children alone.
#pragma once

#include <cstdint>
#include <vector>

#include "w2stree/execution.hpp"
#include "w2stree/forest.hpp"

namespace w2stree {

struct SearchOptions {
  std::int64_t num_simulations = 1000;  // descents per tree, >= 1
  double exploration = 1.41;            // gamma of Eq. 7, finite and >= 0
  bool stop_arm = true;                 // false: the authors' published demo, bit for bit
};

struct SearchResult {
  // By chain: all nodes of a chain are visited alike. A descent visits every chain from the root's
  // to the one where it ends, both included, so
  // visit_count[chain] = stop_visit_count[chain] + sum of visit_count over the children.
  std::vector<std::int64_t> visit_count;
  std::vector<double> value_sum;
  std::vector<std::int64_t> stop_visit_count;  // descents that ended at the last node
  std::vector<double> stop_value_sum;

  // By tree. kNone for a tree without trajectories.
  std::vector<std::int32_t> best_end_chain;   // where the greedy path ends
  std::vector<std::int32_t> best_trajectory;  // ends there; greatest return, ties lowest index
};

/// Runs num_simulations descents on each tree and extracts its best path.
///
/// A descent takes argmax r/c + exploration * sqrt(log(C + 1e-12) / c) over the arms, c and r
/// the arm's visits and value, C the sum of c over the node's arms. An arm never visited counts
/// as +infinity; ties go to the first arm. The value of an ending is the mean return, summed in
/// input order, of the trajectories that end exactly there. The best path takes argmax r/c
/// likewise, over visited arms.
///
/// Throws InvalidInput when an option is out of range. O(num_simulations * arms on the path).
SearchResult search(const Forest& forest, const SearchOptions& options,
                    const Execution& execution = {});

}  // namespace w2stree
