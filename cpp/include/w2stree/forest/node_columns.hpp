// What the chains say of each node, written out: [num_nodes] arrays made on demand.
//
//   chain             0    1    2
//   nodes             0  1 2 3  4 5
//   along the chain   v  w w w  x x      num_trajectories, return_sum, subtree_end, …
//   at its last node  v  . . w  . x      num_terminal, stop_visit_count, …
#pragma once

#include <cstdint>

#include "w2stree/forest/forest.hpp"

namespace w2stree {

// O(num_nodes) each.
Column<std::int32_t> node_parent(const Forest& forest);       // kNone at roots
Column<std::int32_t> node_subtree_end(const Forest& forest);  // subtree: [node, subtree_end)
Column<std::int32_t> node_depth(const Forest& forest);        // steps from the root
Column<std::int32_t> node_num_children(const Forest& forest);
Column<std::int32_t> node_num_actions(const Forest& forest);  // distinct, among the children
Column<std::int32_t> node_num_trajectories(const Forest& forest);
Column<std::int32_t> node_num_terminal(const Forest& forest);
Column<std::int32_t> node_first_trajectory(const Forest& forest);
Column<double> node_return_sum(const Forest& forest);

Column<std::int32_t> root_node(const Forest& forest);  // [num_trees]
Column<std::int32_t> end_node(const Forest& forest);   // [num_trajectories]

/// [num_steps] The node that each step leads to, trajectory after trajectory in input order, as the
/// columns of steps that the forest was built of. O(num_steps).
Column<std::int32_t> step_node(const Forest& forest);

/// The value of a node's chain.
template <class T>
Column<T> along_chains(const Forest& forest, std::span<const T> by_chain);

/// The value of its chain at the last node of the chain, `inside` before it.
template <class T>
Column<T> at_last_nodes(const Forest& forest, std::span<const T> by_chain, T inside);

}  // namespace w2stree
