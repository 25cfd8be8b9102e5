// Trajectories whose texts are known: columns of ids, and what the ids stand for.
#pragma once

#include <cstdint>
#include <vector>

#include "w2stree/text/interner.hpp"

namespace w2stree {

/// TrajectoryColumns that own their memory, and the texts behind their ids. Trees are numbered
/// by the first appearance of their task.
struct TextTrajectories {
  std::vector<std::int32_t> action_id;
  std::vector<std::int32_t> observation_id;
  std::vector<std::int64_t> step_offset{0};
  std::vector<std::int32_t> tree_id;
  std::vector<double> total_return;
  Interner task_ids;
  Interner actions;
  Interner observations;
};

}  // namespace w2stree
