#include "w2stree/forest/growth.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <utility>

#include "base/parallel.hpp"
#include "forest/assembly.hpp"
#include "forest/merging.hpp"
#include "forest/skeleton.hpp"
#include "w2stree/base/errors.hpp"

namespace w2stree {
namespace {

// The caller's columns, of which what has one element a trajectory is copied before anything is
// checked: another thread may write to them meanwhile, and an offset or a tree that changes after
// its check is a read out of bounds. That is 20 bytes a trajectory, 8 of which the forest needs
// anyway. Steps stay where they are: whatever they become, they are compared and kept, no more.
class Input {
 public:
  Input(const Forest& base, const TrajectoryColumns& given, const Execution& execution)
      : step_offset_(given.step_offset.begin(), given.step_offset.end()),
        tree_id_(given.tree_id.begin(), given.tree_id.end()),
        total_return_(base.total_return.size() + given.total_return.size()),
        columns_(given) {
    const auto end = std::ranges::copy(base.total_return, total_return_.begin()).out;
    std::ranges::copy(given.total_return, end);
    columns_.step_offset = step_offset_;
    columns_.tree_id = tree_id_;
    columns_.total_return = {end, given.total_return.size()};
    validate(columns_, execution);
    if (base.end_chain.size() + tree_id_.size() > static_cast<std::size_t>(kMaxId)) {
      refuse("more than ", kMaxId, " trajectories; split the tasks over several forests");
    }
    if (given.num_trees < num_trees(base)) {
      refuse("num_trees=", given.num_trees, "; the forest has ", num_trees(base), " already");
    }
  }
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  const TrajectoryColumns& columns() const { return columns_; }

  /// Of the base, and then these. Once.
  Column<double> all_returns() { return std::move(total_return_); }

 private:
  std::vector<std::int64_t> step_offset_;
  std::vector<std::int32_t> tree_id_;
  Buffer<double> total_return_;
  TrajectoryColumns columns_;
};

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
  return {columns.action_id.data() + begin, columns.observation_id.data() + begin,
          static_cast<std::int32_t>(length)};
}

// A tree of the forest to be made, and where it is now.
struct Source {
  Shard shard;
  std::int32_t tree;
  std::int32_t trajectory_shift;
};

// Trees go where `places` ends, one behind another: adds the place after each.
void add_places(std::span<const Source> sources, std::vector<Place>& places) {
  for (const auto& [shard, tree, shift] : sources) {
    places.push_back(place_after(places.back(), *shard.forest, tree));
  }
}

// Each to its place.
void copy_trees(std::span<const Source> sources, std::span<const Place> places, Assembly& assembly,
                const Execution& execution) {
  parallel_for(static_cast<std::int32_t>(sources.size()), execution,
               [&](std::int32_t i, std::int32_t, Watch&) {
                 const auto& [shard, tree, shift] = sources[at(i)];
                 assembly.copy(places[at(i)], shard, tree, shift);
               });
}

// Each worker grows one tree at a time and freezes it while it is in cache, behind the trees it
// made before.
//
//   worker 0   0 1 2 3 ──>                     from the first tree on: they are where they belong
//   others                 <── 4 5 6 7         from the last one back: copied behind them
//
// They meet wherever time has it, and each has about as many as the others: of the trees of two
// workers half are copied, of those of one none.
template <class Merging>
class Growth {
 public:
  Growth(const Forest& base, Input& input, const Execution& execution, const Merging& merging)
      : base_(base),
        input_(input),
        columns_(input.columns()),
        execution_(execution),
        trajectories_(columns_),
        num_all_(num_trajectories(base) + static_cast<std::int32_t>(columns_.tree_id.size())),
        next_ending_(at(num_all_)) {
    for (std::int32_t i = 0; i < num_workers(columns_.num_trees, execution); ++i) {
      parts_.push_back({Skeleton({next_ending_.data(), at(num_all_)}),
                        merging,
                        Assembly(room(), num_all_),
                        {Place{}}});
    }
  }

  Forest run() {
    const std::int32_t num_trees = columns_.num_trees;
    std::vector<Home> home(at(num_trees));
    std::int32_t front = 0;
    std::atomic<std::int32_t> back = num_trees;
    parallel_for(num_trees, execution_, [&](std::int32_t, std::int32_t worker, Watch& watch) {
      const std::int32_t tree = worker == 0 ? front++ : --back;  // never one of the other side's
      Part& part = parts_[at(worker)];
      home[at(tree)] = {worker, static_cast<std::int32_t>(part.places.size()) - 1};
      part.places.push_back(grow(tree, part, watch));
    });
    return put_behind(parts_.front(), std::span(home).subspan(at(front)));
  }

  std::vector<ObservationMerge> merges() const {
    SimilarMerging::Counts counts;
    for (const Part& part : parts_) {
      for (const auto& [ids, count] : part.merging.counts()) counts[ids] += count;
    }
    std::vector<ObservationMerge> merges;
    for (const auto& [ids, count] : counts) merges.push_back({ids.first, ids.second, count});
    return merges;
  }

 private:
  struct Part {
    Skeleton skeleton;
    Merging merging;
    Assembly assembly;
    std::vector<Place> places;  // of the trees made, and the end
  };

  // Where a tree was made: the number that its worker's part has for it.
  struct Home {
    std::int32_t worker;
    std::int32_t tree;
  };

  // A trajectory adds at most its steps, and at most two chains: a split and a leaf.
  Place room() const {
    const auto at_most = [](std::int64_t size) {
      return static_cast<std::int32_t>(std::min(size, kMaxId));
    };
    const auto num_new = static_cast<std::int64_t>(columns_.tree_id.size());
    const auto num_steps = static_cast<std::int64_t>(columns_.action_id.size());
    return {at_most(num_nodes(base_) + num_steps + columns_.num_trees),
            at_most(std::min(num_chains(base_) + 2 * num_new + columns_.num_trees, kMaxId - 1)),
            num_all_};
  }

  Place grow(std::int32_t tree, Part& part, Watch& watch) {
    auto& [skeleton, merging, assembly, places] = part;
    const bool is_old = tree < num_trees(base_);
    if (is_old && trajectories_.of(tree).empty()) {
      place_after(places.back(), base_, tree);  // throws where it does not fit
      return assembly.copy(places.back(), {&base_, {}, {}}, tree, 0);
    }
    skeleton.clear();
    if (is_old) skeleton.load(base_, tree);
    for (const std::int32_t trajectory : trajectories_.of(tree)) {
      skeleton.insert(num_trajectories(base_) + trajectory, steps_of(columns_, trajectory),
                      columns_.total_return[at(trajectory)], merging);
      watch.check();
    }
    place_after(places.back(), skeleton.num_nodes(), skeleton.num_branches(),
                skeleton.num_trajectories());  // likewise
    return assembly.write(places.back(), skeleton);
  }

  // The first part, and behind its trees the others: they are at home in the other parts.
  Forest put_behind(Part& first, std::span<const Home> others) {
    std::vector<Forest> forests(1);
    for (std::size_t worker = 1; worker < parts_.size(); ++worker) {
      forests.push_back(std::move(parts_[worker].assembly).finish(parts_[worker].places, {}));
    }
    std::vector<Source> sources;
    for (const auto& [worker, tree] : others) {
      sources.push_back({{&forests[at(worker)], {}, {}}, tree, 0});
    }
    const std::size_t num_made = first.places.size() - 1;
    add_places(sources, first.places);
    copy_trees(sources, std::span(first.places).subspan(num_made), first.assembly, execution_);
    return std::move(first.assembly).finish(first.places, input_.all_returns());
  }

  const Forest& base_;
  Input& input_;
  const TrajectoryColumns& columns_;
  const Execution& execution_;
  TreeOrder trajectories_;
  std::int32_t num_all_;
  Buffer<std::int32_t> next_ending_;
  std::vector<Part> parts_;
};

}  // namespace

Forest build_forest(const TrajectoryColumns& columns, const Execution& execution) {
  return extend_forest(Forest{}, columns, execution);
}

Forest extend_forest(const Forest& forest, const TrajectoryColumns& more,
                     const Execution& execution) {
  Input input(forest, more, execution);
  return Growth(forest, input, execution, ExactMerging{}).run();
}

SimilarForest extend_similar_forest(const Forest& forest, const TrajectoryColumns& more,
                                    const SimilarityTest& similarity, const Execution& execution) {
  // Here observations are looked up as rows, so they are copied too.
  const std::vector<std::int32_t> observation_id(more.observation_id.begin(),
                                                 more.observation_id.end());
  TrajectoryColumns own = more;
  own.observation_id = observation_id;
  Input input(forest, own, execution);
  similarity.check_ids("observation_id of the forest", forest.observation_id);
  similarity.check_ids("observation_id", own.observation_id);
  Growth growth(forest, input, execution, SimilarMerging(similarity));
  Forest grown = growth.run();
  return {std::move(grown), growth.merges()};
}

Forest merge_forests(std::span<const Shard> shards, const Execution& execution) {
  std::vector<Source> sources;
  std::vector<double> total_return;
  for (const Shard& shard : shards) {
    const auto shift = static_cast<std::int32_t>(total_return.size());
    total_return.insert(total_return.end(), shard.forest->total_return.begin(),
                        shard.forest->total_return.end());
    if (total_return.size() > static_cast<std::size_t>(kMaxId)) {
      refuse("more than ", kMaxId, " trajectories; split the tasks over several forests");
    }
    for (std::int32_t tree = 0; tree < num_trees(*shard.forest); ++tree) {
      sources.push_back({shard, tree, shift});
    }
  }
  std::vector<Place> places = {Place{}};
  add_places(sources, places);
  Assembly assembly(places.back(), static_cast<std::int32_t>(total_return.size()));
  copy_trees(sources, places, assembly, execution);
  return std::move(assembly).finish(places, std::move(total_return));
}

}  // namespace w2stree
