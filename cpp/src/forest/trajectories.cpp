#include "w2stree/forest/trajectories.hpp"

#include <atomic>
#include <cmath>
#include <string_view>

#include "base/parallel.hpp"
#include "w2stree/base/errors.hpp"
#include "w2stree/base/ids.hpp"

namespace w2stree {
namespace {

void check_size(std::string_view name, std::size_t size, std::size_t expected,
                std::string_view reason) {
  if (size != expected) {
    refuse(name, " has ", size, " elements; expected ", expected, ", ", reason);
  }
}

// Looks for the culprit only once it is known to be there: the first loop has no early exit, so
// compilers vectorise it.
void check_ids(std::string_view name, std::span<const std::int32_t> id,
               const Execution& execution) {
  constexpr std::size_t kBlock = 1 << 18;
  std::atomic<bool> is_any_negative = false;
  parallel_for_blocks(id.size(), kBlock, execution, [&](std::size_t begin, std::size_t end) {
    std::int32_t any_sign = 0;
    for (const std::int32_t one : id.subspan(begin, end - begin)) any_sign |= one;
    if (any_sign < 0) is_any_negative = true;
  });
  if (!is_any_negative) return;
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (id[i] < 0) refuse(name, "[", i, "]=", id[i], " is negative");
  }
}

void check_offsets(std::span<const std::int64_t> offset, std::size_t num_steps) {
  if (offset.front() != 0) refuse("step_offset[0]=", offset.front(), "; expected 0");
  for (std::size_t i = 1; i < offset.size(); ++i) {
    if (offset[i] < offset[i - 1]) {
      refuse("step_offset[", i, "]=", offset[i], " < step_offset[", i - 1, "]=", offset[i - 1]);
    }
    if (offset[i] - offset[i - 1] >= kMaxId) {
      refuse("step_offset[", i, "]: trajectory ", i - 1, " has ", offset[i] - offset[i - 1],
             " steps; at most ", kMaxId - 1, " fit");
    }
  }
  if (static_cast<std::size_t>(offset.back()) != num_steps) {
    refuse("step_offset[", offset.size() - 1, "]=", offset.back(), "; expected ", num_steps,
           ", the length of action_id");
  }
}

void check_tree_ids(std::span<const std::int32_t> tree_id, std::int32_t num_trees) {
  if (num_trees < 0) refuse("num_trees=", num_trees, " is negative");
  for (std::size_t i = 0; i < tree_id.size(); ++i) {
    if (tree_id[i] < 0 || tree_id[i] >= num_trees) {
      refuse("tree_id[", i, "]=", tree_id[i], " outside [0, ", num_trees, ")");
    }
  }
}

void check_returns(std::span<const double> total_return) {
  for (std::size_t i = 0; i < total_return.size(); ++i) {
    if (!std::isfinite(total_return[i])) {
      refuse("total_return[", i, "]=", total_return[i], " is not finite");
    }
  }
}

}  // namespace

void validate(const TrajectoryColumns& columns, const Execution& execution) {
  const std::size_t num_steps = columns.action_id.size();
  const std::size_t num_trajectories = columns.tree_id.size();
  if (num_trajectories > static_cast<std::size_t>(kMaxId)) {
    refuse("tree_id has ", num_trajectories, " elements; at most ", kMaxId, " trajectories fit");
  }
  check_size("observation_id", columns.observation_id.size(), num_steps, "as in action_id");
  check_size("step_offset", columns.step_offset.size(), num_trajectories + 1,
             "one more than tree_id");
  check_size("total_return", columns.total_return.size(), num_trajectories, "as in tree_id");
  check_ids("action_id", columns.action_id, execution);
  check_ids("observation_id", columns.observation_id, execution);
  check_offsets(columns.step_offset, num_steps);
  check_tree_ids(columns.tree_id, columns.num_trees);
  check_returns(columns.total_return);
}

}  // namespace w2stree
