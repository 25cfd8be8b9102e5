// Where the trajectories of one tree stand among its returns.
//
//   position (in trajectory_order)   7    8    9   10      the tree's trajectories
//   total_return                    0.3  1.0  0.0  0.3
//   level                            1    2    0    1      distinct returns, ascending
//
//   ascending   (9, 0) (7, 1) (10, 1) (8, 2)               (position, level); ties by index
//   num_beaten   0      1             2                    by level, at min_gap = 0
//
// The rounded difference of two returns never falls when the greater one rises or the lesser one
// falls. So the levels that a level beats, by whatever PairRule, are the lowest num_beaten of it,
// and num_beaten never falls: from here on pairs are a matter of integers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "w2stree/forest.hpp"
#include "w2stree/pairs.hpp"

namespace w2stree {

struct Ranked {
  std::int32_t position;
  std::int32_t level;
};

/// [num_levels] how many of the lowest levels each level beats; at most its own number.
void find_beaten(std::span<const double> level, const PairRule& rule,
                 std::vector<std::int32_t>& num_beaten);

class ReturnOrder {
 public:
  /// O(n log n) for a tree of n trajectories.
  void rank(const Forest& forest, std::int32_t tree, const PairRule& rule);

  std::span<const Ranked> ascending() const { return ascending_; }
  std::span<const std::int32_t> num_beaten() const { return num_beaten_; }

 private:
  struct Return {
    double value;
    std::int32_t trajectory;
    std::int32_t position;
  };

  std::vector<Ranked> ascending_;
  std::vector<std::int32_t> num_beaten_;
  std::vector<Return> returns_;  // scratch
  std::vector<double> level_;    // scratch
};

}  // namespace w2stree
