// Forests that grow: more trajectories, shards put together, observations merged by similarity.
// Results are new forests; old ones stay as they are.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "w2stree/forest/forest.hpp"
#include "w2stree/forest/similarity.hpp"

namespace w2stree {

/// What a forest merges, and what it merged.
struct SimilarForest {
  Forest forest;
  std::vector<ObservationMerge> merges;  // by made, then seen
};

/// The forest of its trajectories and then `more`, whose indices count on from there: the same
/// as building from all at once. Ids mean the same in both; more.num_trees is the number of
/// trees afterwards. Only trees that get new trajectories grow again; the rest is copied.
/// Throws as build_forest does, and InvalidInput where more.num_trees is less than there are.
/// O(num_nodes + steps of `more`).
Forest extend_forest(const Forest& forest, const TrajectoryColumns& more,
                     const Execution& execution = {});

/// Both at once, with observations merged by similarity: a step goes to the first child, in
/// insertion order, with the same action and the same or a similar observation, and what a
/// child is compared by is the observation of the trajectory that made it. So the result
/// depends on the order of trajectories. `forest` may be empty (Forest{}).
/// O(steps * siblings * dimension) at worst.
SimilarForest extend_similar_forest(const Forest& forest, const TrajectoryColumns& more,
                                    const SimilarityTest& similarity,
                                    const Execution& execution = {});

/// A forest that goes into a larger one. Ids become names[id]; empty names: they stay.
struct Shard {
  const Forest* forest;
  std::span<const std::int32_t> action_name;
  std::span<const std::int32_t> observation_name;
};

/// The trees of all shards, one shard after another, and their trajectories likewise: the same
/// as building from all trajectories where no two shards share a task. Throws InvalidInput for
/// an id without a name, and for more nodes or trajectories than ids can count. O(num_nodes).
Forest merge_forests(std::span<const Shard> shards, const Execution& execution = {});

}  // namespace w2stree
