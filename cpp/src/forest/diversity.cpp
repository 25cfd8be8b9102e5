#include "w2stree/forest/diversity.hpp"

namespace w2stree {
namespace {

// Steps of the trajectories that end at the last node of a chain.
std::int32_t num_steps(const Forest& forest, std::int32_t chain) {
  return forest.chains.depth[at(chain)] + last_node(forest, chain) -
         forest.chains.first_node[at(chain)];
}

// Whether the nodes of a chain have the actions seen at their depths; adds those of new depths. In
// pre-order no depth is reached before the one above it.
bool agrees(const Forest& forest, std::int32_t chain, std::vector<std::int32_t>& action_at) {
  const std::int32_t first = forest.chains.first_node[at(chain)];
  for (std::int32_t node = first; node <= last_node(forest, chain); ++node) {
    const std::int32_t depth = forest.chains.depth[at(chain)] + node - first;
    if (depth == 0) continue;  // the root
    const std::int32_t action = forest.action_id[at(node)];
    if (at(depth) > action_at.size()) action_at.push_back(action);
    if (action_at[at(depth - 1)] != action) return false;
  }
  return true;
}

// One length, and one action at each depth. Where answers differ, trajectories part without a
// decision and may act differently from there on: so every node is asked, not divergences alone.
bool has_one_action_sequence(const Forest& forest, std::int32_t tree) {
  std::vector<std::int32_t> action_at;  // by depth, the root's children at 0
  std::int32_t length = kNone;
  const std::int32_t end = forest.root_chain[at(tree) + 1];
  for (std::int32_t chain = forest.root_chain[at(tree)]; chain < end; ++chain) {
    if (is_decision_divergence(forest, chain)) return false;
    if (!agrees(forest, chain, action_at)) return false;
    if (forest.chains.num_terminal[at(chain)] == 0) continue;
    if (length != kNone && num_steps(forest, chain) != length) return false;
    length = num_steps(forest, chain);
  }
  return true;
}

}  // namespace

std::vector<std::int32_t> trees_of_one_action_sequence(const Forest& forest) {
  std::vector<std::int32_t> trees;
  for (std::int32_t tree = 0; tree < num_trees(forest); ++tree) {
    if (forest.chains.num_trajectories[at(forest.root_chain[at(tree)])] < 2) continue;
    if (has_one_action_sequence(forest, tree)) trees.push_back(tree);
  }
  return trees;
}

}  // namespace w2stree
