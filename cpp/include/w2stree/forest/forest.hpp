// A forest: one trie of trajectories per task, frozen into parallel arrays, path-compressed.
//
//   trajectory 0: (a,x) (b,y) (e,y)        0 root
//   trajectory 1: (a,x) (c,z)             a/ \d
//   trajectory 2: (d,w)                   1   5
//   trajectory 3: (a,x)                 b/ \c
//                                       2   4          a run of nodes without a branch or an
//                                      e|              ending inside is one chain: nodes 2 and 3
//                                       3
//
//   node             0   1   2   3   4   5        chain               0   1   2   3   4
//   ────────────────────────────────────────      ─────────────────────────────────────────
//   action_id        -   a   b   e   c   d        first_node          0   1   2   4   5   6
//   observation_id   -   x   y   y   z   w        parent             -1   0   1   1   0
//                                                 subtree_end         5   4   3   4   5
//                                                 depth               0   1   2   2   1
//                                                 num_actions         2   2   0   0   0
//   trajectory_order   3   0   1   2              num_trajectories    4   3   1   1   1
//                      └ chain 1 ┘                num_terminal        0   1   1   1   1
//                                                 first_trajectory    0   0   1   2   3
//
// Ids of nodes and of chains follow depth-first pre-order, trees one after another, siblings by
// insertion (the first trajectory, in input order, to make them). So a subtree is an id range,
// the first child of an inner chain is chain + 1, and the next sibling of a child is
// subtree_end[child]. The trajectories through a chain are one slice of trajectory_order, and
// those that end at its last node come first in it.
//
// Only one node in ten branches, so chains are few, and everything else that one may ask of a
// node is written out on demand (node_columns.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "w2stree/base/column.hpp"
#include "w2stree/base/execution.hpp"
#include "w2stree/base/ids.hpp"
#include "w2stree/forest/trajectories.hpp"

namespace w2stree {

/// By chain, [num_chains] each unless said otherwise.
struct Chains {
  Column<std::int32_t> first_node;        // [num_chains + 1]; the last is num_nodes
  Column<std::int32_t> parent;            // the chain whose last node it hangs from; kNone at roots
  Column<std::int32_t> subtree_end;       // one past the last chain below
  Column<std::int32_t> depth;             // steps from the root to the first node
  Column<std::int32_t> num_actions;       // distinct actions among the children
  Column<std::int32_t> num_trajectories;  // through the chain, those ending here included
  Column<std::int32_t> num_terminal;      // that end at its last node
  Column<std::int32_t> first_trajectory;  // where its slice of trajectory_order begins
  Column<double> return_sum;              // over trajectories through it, in input order
};

struct Forest {
  // By node: the step that led here.
  Column<std::int32_t> action_id;       // kNone at roots
  Column<std::int32_t> observation_id;  // kNone at roots; of the trajectory that made the node

  Chains chains;

  // By tree.
  Column<std::int32_t> root_chain;  // [num_trees + 1]; the last is num_chains

  // By trajectory.
  Column<std::int32_t> end_chain;         // chain at whose last node it ends
  Column<std::int32_t> trajectory_order;  // trajectories by end_chain, ties in input order
  Column<double> total_return;            // as given
};

/// Merges trajectories exactly: two share a node iff they belong to one tree and agree in every
/// (action_id, observation_id) up to it. Throws InvalidInput (see validate; also for more than
/// 2^31 - 1 nodes). O(S) expected for S steps.
Forest build_forest(const TrajectoryColumns& columns, const Execution& execution = {});

inline std::int32_t num_nodes(const Forest& forest) {
  return static_cast<std::int32_t>(forest.action_id.size());
}

inline std::int32_t num_chains(const Forest& forest) {
  return static_cast<std::int32_t>(forest.chains.parent.size());
}

/// A forest of nothing, Forest{}, has no trees.
inline std::int32_t num_trees(const Forest& forest) {
  return std::max(static_cast<std::int32_t>(forest.root_chain.size()), 1) - 1;
}

inline std::int32_t num_trajectories(const Forest& forest) {
  return static_cast<std::int32_t>(forest.end_chain.size());
}

inline std::int32_t last_node(const Forest& forest, std::int32_t chain) {
  return forest.chains.first_node[at(chain) + 1] - 1;
}

/// Throws InvalidInput unless every node but the roots has an action and an observation below
/// these numbers: columns that change while they are merged may leave others. O(nodes), vectorised.
void check_ids(const Forest& forest, std::int64_t num_actions, std::int64_t num_observations,
               const Execution& execution = {});

/// Memory of all columns, in bytes.
std::size_t num_bytes(const Forest& forest);

/// The chain a node lies on. O(log num_chains).
std::int32_t chain_of(const Forest& forest, std::int32_t node);

inline bool is_leaf(const Forest& forest, std::int32_t chain) {
  return forest.chains.subtree_end[at(chain)] == chain + 1;
}

/// Trajectories chose different actions at its last node: a source of preference pairs.
inline bool is_decision_divergence(const Forest& forest, std::int32_t chain) {
  return forest.chains.num_actions[at(chain)] >= 2;
}

/// Trajectories, in ascending position of trajectory_order, that pass through `chain`.
inline std::span<const std::int32_t> trajectories_through(const Forest& forest,
                                                          std::int32_t chain) {
  return {forest.trajectory_order.data() + forest.chains.first_trajectory[at(chain)],
          at(forest.chains.num_trajectories[at(chain)])};
}

/// Trajectories, in input order, that end at the last node of `chain`.
inline std::span<const std::int32_t> trajectories_ending_at(const Forest& forest,
                                                            std::int32_t chain) {
  return trajectories_through(forest, chain).first(at(forest.chains.num_terminal[at(chain)]));
}

/// The action that leads into `chain`, which is not a root.
inline std::int32_t first_action(const Forest& forest, std::int32_t chain) {
  return forest.action_id[at(forest.chains.first_node[at(chain)])];
}

/// Calls visit(child) for the children of `chain` in insertion order.
template <class Visit>
void for_each_child(const Forest& forest, std::int32_t chain, Visit visit) {
  const std::int32_t end = forest.chains.subtree_end[at(chain)];
  for (std::int32_t child = chain + 1; child < end; child = forest.chains.subtree_end[at(child)]) {
    visit(child);
  }
}

}  // namespace w2stree
