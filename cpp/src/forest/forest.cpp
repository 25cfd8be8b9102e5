#include "w2stree/forest/forest.hpp"

#include <algorithm>

namespace w2stree {

std::size_t num_bytes(const Forest& forest) {
  const Chains& chains = forest.chains;
  const auto sum = [](const auto&... column) { return (column.num_bytes() + ...); };
  return sum(forest.action_id, forest.observation_id, chains.first_node, chains.parent,
             chains.subtree_end, chains.depth, chains.num_actions, chains.num_trajectories,
             chains.num_terminal, chains.first_trajectory, chains.return_sum, forest.root_chain,
             forest.end_chain, forest.trajectory_order, forest.total_return);
}

std::int32_t chain_of(const Forest& forest, std::int32_t node) {
  const auto& first_node = forest.chains.first_node;
  const auto after = std::upper_bound(first_node.begin(), first_node.end() - 1, node);
  return static_cast<std::int32_t>(after - first_node.begin()) - 1;
}

}  // namespace w2stree
