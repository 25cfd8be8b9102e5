// Where trajectories stand among all returns of a forest.
//
//   trajectory     0    1    2    3      two trees: 0, 2, 3 and 1
//   total_return  0.3  0.3  1.0  0.0
//   level          1    1    2    0      distinct returns, ascending
//
//   ascending     3 0 2 │ 1              tree by tree, by level, ties by index
//   num_beaten    0 1 2                  by level, at min_gap = 0
//
// A return that beats another beats all below that one, and all above it beat that one (PairRule's
// bounds never fall). So the levels that a level beats, by whatever PairRule, are the lowest
// num_beaten of it, and num_beaten never falls: from here on pairs are a matter of integers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "w2stree/forest/forest.hpp"
#include "w2stree/pairs/pairs.hpp"

namespace w2stree {

struct Ranked {
  std::int32_t position;  // in trajectory_order
  std::int32_t level;
};

struct ReturnOrder {
  /// O(n + L log L) for n trajectories and L levels.
  ReturnOrder(const Forest& forest, const PairRule& rule);

  /// The slice of `ascending` for trajectories at the same positions of trajectory_order.
  std::span<const Ranked> tree(const Forest& forest, std::int32_t tree) const {
    const std::int32_t root = forest.root_chain[at(tree)];
    return {ascending.data() + forest.chains.first_trajectory[at(root)],
            at(forest.chains.num_trajectories[at(root)])};
  }

  std::vector<Ranked> ascending;
  std::vector<std::int32_t> num_beaten;
};

/// [num_levels] how many of the lowest levels each level beats; at most its own number.
std::vector<std::int32_t> find_beaten(std::span<const double> level, const PairRule& rule);

}  // namespace w2stree
