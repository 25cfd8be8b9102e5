#include "w2stree/forest/forest.hpp"

#include <algorithm>
#include <atomic>
#include <string_view>

#include "base/parallel.hpp"
#include "w2stree/base/errors.hpp"

namespace w2stree {
namespace {

void check_below(const Forest& forest, std::string_view name, std::span<const std::int32_t> ids,
                 std::int64_t num_ids, const Execution& execution) {
  constexpr std::size_t kBlock = 1 << 18;
  const auto limit = static_cast<std::uint32_t>(std::clamp<std::int64_t>(num_ids, 0, kMaxId));
  const auto is_outside = [limit](std::int32_t id) {
    return static_cast<std::uint32_t>(id) >= limit;
  };
  std::atomic<std::uint32_t> num_outside = 0;
  parallel_for_blocks(ids.size(), kBlock, execution, [&](std::size_t begin, std::size_t end) {
    std::uint32_t count = 0;
    for (const std::int32_t id : ids.subspan(begin, end - begin)) count += is_outside(id) ? 1 : 0;
    num_outside += count;
  });
  if (num_outside == static_cast<std::uint32_t>(num_trees(forest))) return;  // the roots
  for (std::int32_t node = 0, tree = 0; node < num_nodes(forest); ++node) {
    const std::int32_t root = forest.chains.first_node[at(forest.root_chain[at(tree)])];
    if (node == root) {
      ++tree;
    } else if (is_outside(ids[at(node)])) {
      refuse(name, " was changed while it was merged: node ", node, " has ", ids[at(node)], " of ",
             num_ids);
    }
  }
}

}  // namespace

void check_ids(const Forest& forest, std::int64_t num_actions, std::int64_t num_observations,
               const Execution& execution) {
  check_below(forest, "action_id", forest.action_id, num_actions, execution);
  check_below(forest, "observation_id", forest.observation_id, num_observations, execution);
}

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
