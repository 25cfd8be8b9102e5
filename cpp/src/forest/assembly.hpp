// The arrays of a forest while trees are laid into them, one after another.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "forest/skeleton.hpp"
#include "w2stree/forest/growth.hpp"

namespace w2stree {

/// Where a tree begins: the sizes of all before it, added up.
struct Place {
  std::int32_t node = 0;
  std::int32_t chain = 0;
  std::int32_t trajectory = 0;

  bool operator==(const Place&) const = default;
};

/// The place after a tree of that size. Throws InvalidInput where ids cannot count that far.
Place place_after(const Place& place, std::int64_t num_nodes, std::int64_t num_chains,
                  std::int64_t num_trajectories);

/// The place after a tree like one of a forest.
Place place_after(const Place& place, const Forest& forest, std::int32_t tree);

class Assembly {
 public:
  /// Room for trees up to the place `end`, and for trajectory indices below num_trajectories.
  /// Room that is not used costs no memory: its pages are never touched.
  Assembly(const Place& end, std::int32_t num_trajectories);

  /// Freezes a grown tree at `place`; returns the place after it.
  Place write(const Place& place, const Skeleton& skeleton);

  /// Copies tree `source` of a frozen forest; its trajectory i becomes i + trajectory_shift.
  /// Throws InvalidInput for an id without a new name. Trees may be copied in parallel.
  Place copy(const Place& place, const Shard& shard, std::int32_t source,
             std::int32_t trajectory_shift);

  /// `places`: of each tree, and the end.
  Forest finish(std::span<const Place> places, Column<double> total_return) &&;

 private:
  std::int32_t write_chain(const Skeleton& skeleton, std::int32_t branch, std::int32_t parent,
                           std::int32_t depth, Place& next);
  void close_subtrees(std::int32_t begin, std::int32_t end);

  Buffer<std::int32_t> action_id_, observation_id_;
  Buffer<std::int32_t> first_node_, parent_, subtree_end_, depth_, num_actions_;
  Buffer<std::int32_t> num_trajectories_, num_terminal_, first_trajectory_;
  Buffer<double> return_sum_;
  Buffer<std::int32_t> end_chain_, trajectory_order_;
  struct Pending {
    std::int32_t branch;
    std::int32_t parent;  // chain
    std::int32_t depth;
  };
  std::vector<Pending> pending_;  // scratch of write
};

}  // namespace w2stree
