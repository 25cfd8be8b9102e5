// Trajectories as the core sees them: columns of integer ids and returns, no text.
//
//   trajectory         0                1     2
//   tree_id            0                0     1
//   total_return       1.0              0.0   0.5
//                   ┌──────────────┐ ┌────┐ (no steps)
//   action_id         7    2    7     7
//   observation_id    0    3    1     0
//   step_offset       0               3     4   4
#pragma once

#include <cstdint>
#include <span>

#include "w2stree/base/execution.hpp"

namespace w2stree {

/// N trajectories of S steps in all. The steps of trajectory i are
/// [step_offset[i], step_offset[i + 1]) of the step columns. Spans are borrowed.
struct TrajectoryColumns {
  std::span<const std::int32_t> action_id;       // [S] >= 0
  std::span<const std::int32_t> observation_id;  // [S] >= 0
  std::span<const std::int64_t> step_offset;     // [N + 1] from 0 to S, never decreasing
  std::span<const std::int32_t> tree_id;         // [N] in [0, num_trees)
  std::span<const double> total_return;          // [N] finite
  std::int32_t num_trees = 0;
};

/// Throws InvalidInput naming the first array and index that break the rules above. O(S + N).
void validate(const TrajectoryColumns& columns, const Execution& execution);

}  // namespace w2stree
