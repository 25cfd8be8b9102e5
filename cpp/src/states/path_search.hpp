// One breadth-first search after another, in memory that it keeps.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/parallel.hpp"
#include "w2stree/forest/forest.hpp"
#include "w2stree/states/states.hpp"

namespace w2stree {

/// [num_edges], not 0 for edges that are not to be taken; empty where all may be.
using EdgeMask = std::vector<std::uint8_t>;

struct StatePath {
  std::int32_t end = kNone;
  std::int32_t trajectory = kNone;
  std::vector<std::int32_t> edges;  // from the start on
};

class PathSearch {
 public:
  PathSearch(const Forest& forest, const StateGraph& graph, std::span<const double> value,
             const EdgeMask& without)
      : forest_(forest), graph_(graph), value_(value), without_(without) {}

  StatePath to_best(std::int32_t start, Watch& watch);
  StatePath to_nearest(std::int32_t start, double threshold, Watch& watch);

 private:
  /// How a state was reached first.
  struct Reached {
    std::int32_t distance = kNone;  // kNone: not yet
    std::int32_t from = kNone;
    std::int32_t edge = kNone;
  };

  void reach_all(std::int32_t start, Watch& watch);
  /// The nearest of the states reached that is wanted, of these the one of lowest id, or kNone.
  template <class IsWanted>
  std::int32_t nearest(IsWanted is_wanted) const;
  StatePath path_to(std::int32_t end) const;
  std::int32_t trajectory_along(const StatePath& path) const;
  bool ends_along(std::int32_t chain, const StatePath& path) const;

  Reached& reached(std::int32_t state) { return reached_[at(state - first_state_)]; }
  const Reached& reached(std::int32_t state) const { return reached_[at(state - first_state_)]; }

  const Forest& forest_;
  const StateGraph& graph_;
  std::span<const double> value_;
  const EdgeMask& without_;
  std::int32_t tree_ = 0;
  std::int32_t first_state_ = 0;     // of the tree
  std::int32_t start_ = 0;           // of the search
  std::vector<Reached> reached_;     // by state of the tree
  std::vector<std::int32_t> queue_;  // the states reached, nearest first
};

}  // namespace w2stree
