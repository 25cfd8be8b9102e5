#include "w2stree/growth.hpp"

#include <map>
#include <numeric>
#include <utility>

#include "assembly.hpp"
#include "parallel.hpp"
#include "skeleton.hpp"
#include "w2stree/errors.hpp"

namespace w2stree {
namespace {

// Trajectories by tree, input order within a tree (a counting sort).
class TreeOrder {
 public:
  explicit TreeOrder(const TrajectoryColumns& columns)
      : begin_(at(columns.num_trees) + 1, 0), order_(columns.tree_id.size()) {
    for (const std::int32_t tree : columns.tree_id) ++begin_[at(tree) + 1];
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    std::vector<std::int32_t> next(begin_.begin(), begin_.end() - 1);
    for (std::size_t i = 0; i < order_.size(); ++i) {
      order_[at(next[at(columns.tree_id[i])]++)] = static_cast<std::int32_t>(i);
    }
  }

  std::span<const std::int32_t> of(std::int32_t tree) const {
    return {order_.data() + begin_[at(tree)], order_.data() + begin_[at(tree) + 1]};
  }

 private:
  std::vector<std::int32_t> begin_;
  Buffer<std::int32_t> order_;
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

TreeSize size_of(const Forest& forest, std::int32_t tree) {
  const std::int32_t begin = forest.root_chain[at(tree)];
  const std::int32_t end = forest.root_chain[at(tree) + 1];
  return {forest.chains.first_node[at(end)] - forest.chains.first_node[at(begin)], end - begin,
          forest.chains.num_trajectories[at(begin)]};
}

// Trees grow on their own, each on one worker. Once all sizes are known, each is laid out at its
// place; a tree that gets nothing new is copied there.
template <class Merging>
class Growth {
 public:
  Growth(const Forest& base, const TrajectoryColumns& columns, const Execution& execution,
         const Merging& merging)
      : base_(base), columns_(columns), execution_(execution), trajectories_(columns) {
    const std::size_t num_new = columns.tree_id.size();
    const std::size_t num_all = num_new + at(num_trajectories(base));
    if (num_all > static_cast<std::size_t>(kMaxId)) {
      refuse(num_all, " trajectories; at most ", kMaxId, " fit");
    }
    next_ending_.resize(num_all);
    for (std::int32_t i = 0; i < num_workers(columns.num_trees, execution); ++i) {
      Workspace& workspace = workspaces_.emplace_back(Workspace{{}, {}, merging});
      // A trajectory adds at most a split and a leaf. Memory reserved and not used is free.
      workspace.branches.reserve(2 * num_new + at(columns.num_trees));
    }
  }

  Forest run() {
    std::vector<TreeSize> sizes(at(columns_.num_trees));
    grown_.resize(at(columns_.num_trees));
    parallel_for(
        columns_.num_trees, execution_, [&](std::int32_t tree, std::int32_t worker, Watch& watch) {
          sizes[at(tree)] = is_copied(tree) ? size_of(base_, tree) : grow(tree, worker, watch);
        });
    Assembly assembly(sizes);
    parallel_for(columns_.num_trees, execution_, [&](std::int32_t tree, std::int32_t, Watch&) {
      const auto& [worker, begin, count] = grown_[at(tree)];
      if (is_copied(tree)) {
        assembly.copy(tree, {&base_, {}, {}}, tree, 0);
      } else {
        assembly.write(tree, {workspaces_[at(worker)].branches.data() + begin, count},
                       next_ending_);
      }
    });
    return std::move(assembly).finish(all_returns());
  }

  std::vector<ObservationMerge> merges() const {
    std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> counts;
    for (const Workspace& workspace : workspaces_) {
      for (const auto& [ids, count] : workspace.merging.counts()) counts[ids] += count;
    }
    std::vector<ObservationMerge> merges;
    for (const auto& [ids, count] : counts) merges.push_back({ids.first, ids.second, count});
    return merges;
  }

 private:
  struct Workspace {
    std::vector<Branch> branches;
    ChildTable table;
    Merging merging;
  };

  // Where a grown tree waits to be laid out: branches [begin, begin + count) of its worker.
  struct Grown {
    std::int32_t worker = 0;
    std::size_t begin = 0;
    std::size_t count = 0;
  };

  bool is_old(std::int32_t tree) const { return tree < num_trees(base_); }
  bool is_copied(std::int32_t tree) const { return is_old(tree) && trajectories_.of(tree).empty(); }

  TreeSize grow(std::int32_t tree, std::int32_t worker, Watch& watch) {
    auto& [branches, table, merging] = workspaces_[at(worker)];
    const std::size_t begin = branches.size();
    Skeleton<Merging> skeleton(branches, table, next_ending_, merging);
    if (is_old(tree)) skeleton.load(base_, tree);
    for (const std::int32_t trajectory : trajectories_.of(tree)) {
      skeleton.insert(num_trajectories(base_) + trajectory, steps_of(columns_, trajectory),
                      columns_.total_return[at(trajectory)]);
      watch.check();
    }
    grown_[at(tree)] = {worker, begin, branches.size() - begin};
    return {skeleton.num_nodes(), static_cast<std::int32_t>(branches.size() - begin),
            branches[begin].num_trajectories};
  }

  Column<double> all_returns() const {
    Buffer<double> all(next_ending_.size());
    const auto end = std::ranges::copy(base_.total_return, all.begin()).out;
    std::ranges::copy(columns_.total_return, end);
    return all;
  }

  const Forest& base_;
  const TrajectoryColumns& columns_;
  const Execution& execution_;
  TreeOrder trajectories_;
  std::vector<std::int32_t> next_ending_;
  std::vector<Workspace> workspaces_;
  std::vector<Grown> grown_;
};

void check(const Forest& base, const TrajectoryColumns& more) {
  validate(more);
  if (more.num_trees < num_trees(base)) {
    refuse("num_trees=", more.num_trees, "; the forest has ", num_trees(base), " already");
  }
}

}  // namespace

Forest build_forest(const TrajectoryColumns& columns, const Execution& execution) {
  return extend_forest(Forest{}, columns, execution);
}

Forest extend_forest(const Forest& forest, const TrajectoryColumns& more,
                     const Execution& execution) {
  check(forest, more);
  return Growth(forest, more, execution, ExactMerging{}).run();
}

SimilarForest extend_similar_forest(const Forest& forest, const TrajectoryColumns& more,
                                    const SimilarityTest& similarity, const Execution& execution) {
  check(forest, more);
  similarity.check_ids("observation_id of the forest", forest.observation_id);
  similarity.check_ids("observation_id", more.observation_id);
  Growth growth(forest, more, execution, SimilarMerging(similarity));
  Forest grown = growth.run();
  return {std::move(grown), growth.merges()};
}

Forest merge_forests(std::span<const Shard> shards, const Execution& execution) {
  struct Source {
    const Shard* shard;
    std::int32_t tree;
    std::int32_t trajectory_shift;
  };
  std::vector<Source> sources;
  std::vector<TreeSize> sizes;
  std::vector<double> total_return;
  for (const Shard& shard : shards) {
    const auto shift = static_cast<std::int32_t>(total_return.size());
    total_return.insert(total_return.end(), shard.forest->total_return.begin(),
                        shard.forest->total_return.end());
    if (total_return.size() > static_cast<std::size_t>(kMaxId)) {
      refuse("more than ", kMaxId, " trajectories");
    }
    for (std::int32_t tree = 0; tree < num_trees(*shard.forest); ++tree) {
      sources.push_back({&shard, tree, shift});
      sizes.push_back(size_of(*shard.forest, tree));
    }
  }
  Assembly assembly(sizes);
  parallel_for(static_cast<std::int32_t>(sources.size()), execution,
               [&](std::int32_t i, std::int32_t, Watch&) {
                 const auto& [shard, tree, shift] = sources[at(i)];
                 assembly.copy(i, *shard, tree, shift);
               });
  return std::move(assembly).finish(std::move(total_return));
}

}  // namespace w2stree
