// States: histories of one tree that are one to the caller, put together into a directed graph.
//
//   run 0: take key, open door, go      forest 0 ─ 1 ─ 2 ─ 3     states  0 ─> 1 ─> 2 ─> 3
//   run 1: look, take key                      ├ 4 ─ 5                   ├─> 4
//   run 2: wait (nothing changes), look        └ 6 ─ 7                  (└─> 0, by "wait")
//
//   key          -  1  2  3  5  1  -  5         nodes 1 and 5 are one state: "key taken" may follow
//   node_state   0  1  2  3  4  1  5  4         "look", though no run opened the door after it
//
// Nodes of a tree with the same key are one state, a node without a key is a state of its own, and
// trees share none. Steps between the same states by the same action are one edge. A path in the
// forest is always one run; a path in the graph may join pieces of several. That they fit is a
// claim of the keys, and true when it has been played. Two edges of one source and action, with
// different targets, say that the keys are too coarse or the environment left it to chance.
//
// Numbers: states of a tree follow one another, by their first node (so a tree's first state is its
// root's); edges go by source, then action, then target.
#pragma once

#include <cstdint>
#include <span>

#include "w2stree/base/column.hpp"
#include "w2stree/base/execution.hpp"
#include "w2stree/base/ids.hpp"
#include "w2stree/forest/forest.hpp"

namespace w2stree {

struct StateGraph {
  Column<std::int32_t> of_forest;  // chains.parent of the forest, which tells forests apart

  // By node.
  Column<std::int32_t> node_state;
  Column<std::int32_t> node_edge;  // the edge that the step into the node is; kNone at roots

  Column<std::int32_t> first_state;  // [num_trees + 1] the root's; the last is num_states
  Column<std::int32_t> first_edge;   // [num_states + 1] that leads out; the last is num_edges

  // By edge.
  Column<std::int32_t> action_id;
  Column<std::int32_t> target;
  Column<std::int32_t> first_node;        // lowest of the nodes whose step is this edge
  Column<std::int32_t> first_trajectory;  // lowest of the trajectories through one of them
  Column<std::int64_t> count;  // steps: a trajectory that takes the edge twice counts twice
};

inline std::int32_t num_states(const StateGraph& graph) {
  return static_cast<std::int32_t>(graph.first_edge.size()) - 1;
}

inline std::int32_t num_edges(const StateGraph& graph) {
  return static_cast<std::int32_t>(graph.target.size());
}

/// key [num_nodes]: equal for nodes that are one state, kNone for a node by itself. Throws
/// InvalidInput for another size, and naming the first that is neither kNone nor in
/// [0, num_nodes): as many as there are nodes always do. O(num_nodes), and sorting the edges of
/// each state; 4 bytes a node and thread on the way.
StateGraph build_state_graph(const Forest& forest, std::span<const std::int32_t> key,
                             const Execution& execution = {});

/// Throws InvalidInput unless the graph is of this forest (copies of it are it).
void check_is_of(const Forest& forest, const StateGraph& graph);

/// [num_edges] The state that each edge leads out of.
Column<std::int32_t> edge_source(const StateGraph& graph);

/// [num_nodes] The last node above, on the path from the root, in the same state; kNone where there
/// is none. The steps between the two led nowhere. O(num_nodes).
Column<std::int32_t> previous_visit(const Forest& forest, const StateGraph& graph,
                                    const Execution& execution = {});

/// What a state is worth, of all that was seen of it.
enum class StateValue : std::uint8_t {
  kBest,  // the greatest
  kMean,  // the mean
};

/// [num_states] Of the returns of trajectories that end in the state; NaN where none does. The mean
/// is summed in the order of trajectory_order. O(num_nodes).
Column<double> state_values(const Forest& forest, const StateGraph& graph, StateValue worth);

/// [num_states] Of its nodes' scores, [num_nodes], NaN where there is none; in the mean a node
/// counts as often as trajectories pass through it, in the order of nodes. Throws InvalidInput for
/// another size and naming the first score that is infinite (for the mean: too large to be added up
/// over all trajectories). O(num_nodes).
Column<double> state_values(const Forest& forest, const StateGraph& graph,
                            std::span<const double> score, StateValue worth);

}  // namespace w2stree
