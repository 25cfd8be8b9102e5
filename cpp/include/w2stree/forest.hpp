// A forest: one trie of trajectories per task, frozen into parallel arrays.
//
//   trajectory 0: (a,x) (b,y)         node   0   1   2   3   4
//   trajectory 1: (a,x) (c,z)         ─────────────────────────
//   trajectory 2: (d,w)               parent        -1   0   1   1   0
//   trajectory 3: (a,x)               subtree_end    5   4   3   4   5
//                                     depth          0   1   2   2   1
//             0 root                  num_terminal   0   1   1   1   1
//            a/ \d                    first_traj.    0   0   1   2   3
//            1   4
//          b/ \c                      trajectory_order   3   0   1   2
//          2   3                                         └ subtree 1 ┘
//
// Ids follow depth-first pre-order, trees one after another, siblings by insertion (the first
// trajectory, in input order, to make them). So a subtree is the id range
// [node, subtree_end[node]), the first child of an inner node is node + 1, and the next sibling
// of a child is subtree_end[child]. The trajectories through a node are one slice of
// trajectory_order, and those that end exactly there come first in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "w2stree/trajectories.hpp"

namespace w2stree {

struct Forest {
  // By node.
  std::vector<std::int32_t> parent;            // kNone at roots
  std::vector<std::int32_t> subtree_end;       // one past the last id of the node's subtree
  std::vector<std::int32_t> action_id;         // step that led here; kNone at roots
  std::vector<std::int32_t> observation_id;    // kNone at roots
  std::vector<std::int32_t> depth;             // steps from the root
  std::vector<std::int32_t> num_children;      //
  std::vector<std::int32_t> num_actions;       // distinct actions among the children
  std::vector<std::int32_t> num_trajectories;  // through the node, those ending here included
  std::vector<std::int32_t> num_terminal;      // that end exactly here
  std::vector<std::int32_t> first_trajectory;  // where the node's slice of the order begins
  std::vector<double> return_sum;              // over trajectories through it, in input order

  // By tree.
  std::vector<std::int32_t> root;

  // By trajectory.
  std::vector<std::int32_t> end_node;          // node where the trajectory ends
  std::vector<std::int32_t> trajectory_order;  // trajectories by end_node, ties in input order
  std::vector<double> total_return;            // as given
};

/// Merges trajectories exactly: two share a node iff they belong to one tree and agree in every
/// (action_id, observation_id) up to it. Throws InvalidInput (see validate; also for more than
/// 2^31 - 1 nodes). O(S log M) for S steps and at most M trajectories through a node.
Forest build_forest(const TrajectoryColumns& columns);

inline std::size_t at(std::int32_t id) {
  return static_cast<std::size_t>(id);
}

inline std::int32_t num_nodes(const Forest& forest) {
  return static_cast<std::int32_t>(forest.parent.size());
}

inline bool is_leaf(const Forest& forest, std::int32_t node) {
  return forest.num_children[at(node)] == 0;
}

/// Trajectories chose different actions here: a source of preference pairs.
inline bool is_decision_divergence(const Forest& forest, std::int32_t node) {
  return forest.num_actions[at(node)] >= 2;
}

/// Trajectories, in ascending position of trajectory_order, that pass through `node`.
inline std::span<const std::int32_t> trajectories_through(const Forest& forest, std::int32_t node) {
  return {forest.trajectory_order.data() + forest.first_trajectory[at(node)],
          at(forest.num_trajectories[at(node)])};
}

/// Trajectories, in input order, that end exactly at `node`.
inline std::span<const std::int32_t> trajectories_ending_at(const Forest& forest,
                                                            std::int32_t node) {
  return trajectories_through(forest, node).first(at(forest.num_terminal[at(node)]));
}

/// Calls visit(child) for the children of `node` in insertion order.
template <class Visit>
void for_each_child(const Forest& forest, std::int32_t node, Visit visit) {
  const std::int32_t end = forest.subtree_end[at(node)];
  for (std::int32_t child = node + 1; child < end; child = forest.subtree_end[at(child)]) {
    visit(child);
  }
}

}  // namespace w2stree
