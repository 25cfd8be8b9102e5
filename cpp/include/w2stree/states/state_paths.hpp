// Ways through the state graph: to the best state that can be reached, or to the nearest good one.
//
//   start ──edge──> state ──edge──> state ──edge──> end       breadth first: no state twice, so
//           run 0           run 0           run 3             what a run did in vain is cut
//
// Of equally short paths to one end the one whose edges come first: by the lowest first edge, of
// those by the lowest second, and so on.
#pragma once

#include <cstdint>
#include <span>

#include "w2stree/base/column.hpp"
#include "w2stree/base/execution.hpp"
#include "w2stree/states/states.hpp"

namespace w2stree {

/// By path; path i has the edges [offset[i], offset[i + 1]) of `edge`.
struct StatePaths {
  Column<std::int32_t> end;         // the state where it ends; kNone where there is no path
  Column<std::int32_t> trajectory;  // the run that it is; kNone where it is none's
  Column<std::int64_t> offset;      // [num_paths + 1]
  Column<std::int32_t> edge;        // from the start on
};

/// From where, and by which edges.
struct PathQueries {
  std::span<const std::int32_t> start;    // a state each
  std::span<const std::int32_t> without;  // edges that no path may take, in any order
};

// Everything below takes value [num_states], NaN where a state has none; throws InvalidInput for
// another size, and naming the first start or edge that there is not.
//
// A path is a trajectory where that took exactly these actions through these states and ended
// there: from its beginning where the path starts in the root's state, from anywhere on else. Of
// several it is the one of greatest return, ties to the first.

/// To the reachable state of greatest value, those equal but for rounding included; of these the
/// nearest, of these the one of lowest id. None where no state with a value is reachable.
/// O(nodes + edges of the tree) a query.
StatePaths best_paths(const Forest& forest, const StateGraph& graph, std::span<const double> value,
                      const PathQueries& queries, const Execution& execution = {});

/// To the nearest state whose value is at least the threshold, but for rounding; of these the one
/// of lowest id. Throws InvalidInput for a threshold that is not finite. Cost as above.
StatePaths shortest_paths(const Forest& forest, const StateGraph& graph,
                          std::span<const double> value, double threshold,
                          const PathQueries& queries, const Execution& execution = {});

/// [num_states] Edges from each state to the nearest whose value is at least the threshold, but for
/// rounding; kNone where none can be reached. O(states + edges).
Column<std::int32_t> distance_to_goal(const StateGraph& graph, std::span<const double> value,
                                      double threshold, std::span<const std::int32_t> without,
                                      const Execution& execution = {});

}  // namespace w2stree
