// Trajectories for tests, written as text: each character is one step.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "w2stree/forest/trajectories.hpp"

namespace w2stree::test {

/// Owns the columns. `add(0, "abX", 0.5)`: a trajectory of tree 0 with return 0.5. A lower-case
/// letter is an action answered by observation 0, an upper-case one the same by observation 1.
struct Episodes {
  std::vector<std::int32_t> action_id;
  std::vector<std::int32_t> observation_id;
  std::vector<std::int64_t> step_offset = {0};
  std::vector<std::int32_t> tree_id;
  std::vector<double> total_return;
  std::int32_t num_trees = 0;

  Episodes& add(std::int32_t tree, std::string_view steps, double value) {
    for (const char step : steps) {
      const bool is_upper = step >= 'A' && step <= 'Z';
      action_id.push_back(is_upper ? step - 'A' : step - 'a');
      observation_id.push_back(is_upper ? 1 : 0);
    }
    step_offset.push_back(static_cast<std::int64_t>(action_id.size()));
    tree_id.push_back(tree);
    total_return.push_back(value);
    num_trees = tree + 1 > num_trees ? tree + 1 : num_trees;
    return *this;
  }

  TrajectoryColumns columns() const {
    return {action_id, observation_id, step_offset, tree_id, total_return, num_trees};
  }
};

}  // namespace w2stree::test
