#include "w2stree/forest.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

#include "assembly.hpp"
#include "parallel.hpp"
#include "skeleton.hpp"

namespace w2stree {
namespace {

// Trajectories by tree, input order within a tree (a counting sort): those of tree t are
// order[begin[t]] to order[begin[t + 1]].
struct TreeOrder {
  explicit TreeOrder(const TrajectoryColumns& columns)
      : begin(at(columns.num_trees) + 1, 0), order(columns.tree_id.size()) {
    for (const std::int32_t tree : columns.tree_id) ++begin[at(tree) + 1];
    std::partial_sum(begin.begin(), begin.end(), begin.begin());
    std::vector<std::int32_t> next(begin.begin(), begin.end() - 1);
    for (std::size_t i = 0; i < order.size(); ++i) {
      order[at(next[at(columns.tree_id[i])]++)] = static_cast<std::int32_t>(i);
    }
  }

  std::vector<std::int32_t> begin;
  Buffer<std::int32_t> order;
};

// Where a grown tree waits to be laid out: branches [begin, end) of its worker.
struct Grown {
  std::int32_t worker = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
};

Label steps_of(const TrajectoryColumns& columns, std::int32_t trajectory) {
  const std::int64_t begin = columns.step_offset[at(trajectory)];
  const std::int64_t length = columns.step_offset[at(trajectory) + 1] - begin;
  if (length >= kMaxId) {
    refuse("trajectory ", trajectory, " has ", length, " steps; at most ", kMaxId - 1, " fit");
  }
  return {columns.action_id.data() + begin, columns.observation_id.data() + begin,
          static_cast<std::int32_t>(length)};
}

}  // namespace

// Trees grow on their own, each on one worker; once all sizes are known, each is laid out at
// its place.
Forest build_forest(const TrajectoryColumns& columns, const Execution& execution) {
  validate(columns);
  const TreeOrder trajectories(columns);
  const ExactMerging merging;
  struct Workspace {
    std::vector<Branch> branches;
    ChildTable table;
  };
  std::vector<Workspace> workspaces(at(num_workers(columns.num_trees, execution)));
  std::vector<Grown> grown(at(columns.num_trees));
  std::vector<TreeSize> sizes(at(columns.num_trees));
  std::vector<std::int32_t> next_ending(columns.tree_id.size());

  parallel_for(
      columns.num_trees, execution, [&](std::int32_t tree, std::int32_t worker, Watch& watch) {
        auto& [branches, table] = workspaces[at(worker)];
        grown[at(tree)] = {worker, branches.size(), 0};
        Skeleton skeleton(branches, table, next_ending, merging);
        const std::int32_t end = trajectories.begin[at(tree) + 1];
        for (std::int32_t i = trajectories.begin[at(tree)]; i < end; ++i) {
          const std::int32_t trajectory = trajectories.order[at(i)];
          skeleton.insert(trajectory, steps_of(columns, trajectory),
                          columns.total_return[at(trajectory)]);
          watch.check();
        }
        grown[at(tree)].end = branches.size();
        sizes[at(tree)] = {skeleton.num_nodes(),
                           static_cast<std::int32_t>(branches.size() - grown[at(tree)].begin),
                           end - trajectories.begin[at(tree)]};
      });

  Assembly assembly(sizes);
  parallel_for(columns.num_trees, execution, [&](std::int32_t tree, std::int32_t, Watch&) {
    const auto& [worker, begin, end] = grown[at(tree)];
    const std::span<const Branch> branches = workspaces[at(worker)].branches;
    assembly.write(tree, branches.subspan(begin, end - begin), next_ending);
  });
  return std::move(assembly).finish(
      std::vector<double>(columns.total_return.begin(), columns.total_return.end()));
}

std::int32_t chain_of(const Forest& forest, std::int32_t node) {
  const auto& first_node = forest.chains.first_node;
  const auto after = std::upper_bound(first_node.begin(), first_node.end() - 1, node);
  return static_cast<std::int32_t>(after - first_node.begin()) - 1;
}

}  // namespace w2stree
