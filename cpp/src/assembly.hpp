// Lays trees one after another into the arrays of a forest. Trees may be written in parallel.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "skeleton.hpp"
#include "w2stree/growth.hpp"

namespace w2stree {

struct TreeSize {
  std::int64_t num_nodes = 0;
  std::int32_t num_chains = 0;
  std::int32_t num_trajectories = 0;
};

class Assembly {
 public:
  /// Throws InvalidInput where the trees have more than 2^31 - 1 nodes together.
  explicit Assembly(std::span<const TreeSize> sizes);

  /// Freezes a grown tree.
  void write(std::int32_t tree, std::span<const Branch> branches,
             std::span<const std::int32_t> next_ending);

  /// Copies tree `source` of a frozen forest; its trajectory i becomes i + trajectory_shift.
  /// Throws InvalidInput for an id without a new name.
  void copy(std::int32_t tree, const Shard& shard, std::int32_t source,
            std::int32_t trajectory_shift);

  Forest finish(Column<double> total_return) &&;

 private:
  // Where a tree goes: the sizes of all before it, added up.
  struct Place {
    std::int32_t node = 0;
    std::int32_t chain = 0;
    std::int32_t trajectory = 0;
  };

  std::int32_t write_chain(const Branch& branch, std::int32_t parent, std::int32_t depth,
                           Place& next);
  void write_endings(const Branch& branch, std::int32_t chain,
                     std::span<const std::int32_t> next_ending, Place& next);
  void close_subtrees(std::int32_t begin, std::int32_t end);

  std::vector<Place> places_;  // [num_trees + 1]
  Buffer<std::int32_t> action_id_, observation_id_;
  Buffer<std::int32_t> first_node_, parent_, subtree_end_, depth_, num_actions_;
  Buffer<std::int32_t> num_trajectories_, num_terminal_, first_trajectory_;
  Buffer<double> return_sum_;
  Buffer<std::int32_t> end_chain_, trajectory_order_;
};

}  // namespace w2stree
