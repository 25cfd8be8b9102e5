// Trees that teach nothing because their trajectories never chose differently.
//
//   task-3   u ─ a ─ b ─ c      3 trajectories, one sequence of actions: no pair, no better path
//   task-5   u ─ a ─ b ─ c
//                 └─ d          2 trajectories, two sequences
//   task-8   u ─ a,x ─ b
//             └─ a,y ─ c        two sequences too, though no node has two actions to choose from
#pragma once

#include <cstdint>
#include <vector>

#include "w2stree/forest/forest.hpp"

namespace w2stree {

/// Trees of at least two trajectories that all took the same actions, whatever the environment
/// answered. Ascending. O(num_nodes of the trees without a decision divergence + num_chains).
std::vector<std::int32_t> trees_of_one_action_sequence(const Forest& forest);

}  // namespace w2stree
