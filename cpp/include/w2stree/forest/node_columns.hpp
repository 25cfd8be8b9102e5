// What the chains say of each node, written out: [num_nodes] arrays made on demand, on threads.
//
//   chain             0    1    2
//   nodes             0  1 2 3  4 5
//   along the chain   v  w w w  x x      num_trajectories, return_sum, subtree_end, …
//   at its last node  v  . . w  . x      num_terminal, stop_visit_count, …
#pragma once

#include <cstdint>

#include "w2stree/base/execution.hpp"
#include "w2stree/forest/forest.hpp"

namespace w2stree {

// O(num_nodes) each.
Column<std::int32_t> node_parent(const Forest&, const Execution& = {});       // kNone at roots
Column<std::int32_t> node_subtree_end(const Forest&, const Execution& = {});  // [node, subtree_end)
Column<std::int32_t> node_depth(const Forest&, const Execution& = {});        // steps from the root
Column<std::int32_t> node_num_children(const Forest&, const Execution& = {});
Column<std::int32_t> node_num_actions(const Forest&, const Execution& = {});  // distinct, below
Column<std::int32_t> node_num_trajectories(const Forest&, const Execution& = {});
Column<std::int32_t> node_num_terminal(const Forest&, const Execution& = {});
Column<std::int32_t> node_first_trajectory(const Forest&, const Execution& = {});
Column<double> node_return_sum(const Forest&, const Execution& = {});

Column<std::int32_t> root_node(const Forest&, const Execution& = {});  // [num_trees]
Column<std::int32_t> end_node(const Forest&, const Execution& = {});   // [num_trajectories]

/// [num_steps] The node that each step leads to, trajectory after trajectory in input order, as the
/// columns of steps that the forest was built of. O(num_steps).
Column<std::int32_t> step_node(const Forest&, const Execution& = {});

/// The value of a node's chain.
template <class T>
Column<T> along_chains(const Forest& forest, std::span<const T> by_chain,
                       const Execution& execution = {});

/// The value of its chain at the last node of the chain, `inside` before it.
template <class T>
Column<T> at_last_nodes(const Forest& forest, std::span<const T> by_chain, T inside,
                        const Execution& execution = {});

}  // namespace w2stree
