#include "w2stree/states/state_paths.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "base/parallel.hpp"
#include "states/path_search.hpp"
#include "w2stree/base/errors.hpp"
#include "w2stree/base/returns.hpp"

namespace w2stree {
namespace {

void check_ids(std::string_view name, std::string_view noun, std::span<const std::int32_t> ids,
               std::int32_t count) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= 0 && ids[i] < count) continue;
    refuse(name, "[", i, "]=", ids[i], "; expected one of ", count, " ", noun);
  }
}

void check(const StateGraph& graph, std::span<const double> value) {
  const auto count = static_cast<std::size_t>(num_states(graph));
  if (value.size() != count) refuse("value has ", value.size(), " elements; expected ", count);
}

void check(double threshold) {
  if (!std::isfinite(threshold)) refuse("threshold=", threshold, "; expected a finite number");
}

EdgeMask mask_of(const StateGraph& graph, std::span<const std::int32_t> without) {
  check_ids("without", "edges", without, num_edges(graph));
  EdgeMask mask(without.empty() ? 0 : at(num_edges(graph)), 0);
  for (const std::int32_t edge : without) mask[at(edge)] = 1;
  return mask;
}

StatePaths assemble(const std::vector<StatePath>& paths) {
  Buffer<std::int32_t> end(paths.size());
  Buffer<std::int32_t> trajectory(paths.size());
  Buffer<std::int64_t> offset(paths.size() + 1);
  offset[0] = 0;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    end[i] = paths[i].end;
    trajectory[i] = paths[i].trajectory;
    offset[i + 1] = offset[i] + static_cast<std::int64_t>(paths[i].edges.size());
  }
  Buffer<std::int32_t> edge(static_cast<std::size_t>(offset[paths.size()]));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    std::ranges::copy(paths[i].edges, edge.begin() + offset[i]);
  }
  return {std::move(end), std::move(trajectory), std::move(offset), std::move(edge)};
}

template <class Find>
StatePaths find_paths(const Forest& forest, const StateGraph& graph, std::span<const double> value,
                      const PathQueries& queries, const Execution& execution, Find find) {
  check_is_of(forest, graph);
  check(graph, value);
  check_ids("start", "states", queries.start, num_states(graph));
  if (queries.start.size() > static_cast<std::size_t>(kMaxId)) {
    refuse("start has ", queries.start.size(), " elements; expected at most ", kMaxId);
  }
  const EdgeMask without = mask_of(graph, queries.without);
  const auto count = static_cast<std::int32_t>(queries.start.size());
  std::vector<StatePath> paths(at(count));
  parallel_for_with(
      count, execution, [&] { return PathSearch(forest, graph, value, without); },
      [&](PathSearch& search, std::int32_t i, Watch& watch) {
        paths[at(i)] = find(search, queries.start[at(i)], watch);
      });
  return assemble(paths);
}

// Breadth first from the goals, against the edges.
class BackwardSearch {
 public:
  BackwardSearch(const StateGraph& graph, const EdgeMask& without)
      : graph_(graph), without_(without) {}

  template <class IsGoal>
  void run(std::int32_t tree, IsGoal is_goal, Buffer<std::int32_t>& distance, Watch& watch) {
    const std::int32_t first = graph_.first_state[at(tree)];
    const std::int32_t end = graph_.first_state[at(tree) + 1];
    sort_by_target(first, end);
    queue_.clear();
    for (std::int32_t state = first; state < end; ++state) {
      distance[at(state)] = is_goal(state) ? 0 : kNone;
      if (distance[at(state)] == 0) queue_.push_back(state);
    }
    for (std::size_t next = 0; next < queue_.size(); ++next) {
      watch.check();
      const std::int32_t target = queue_[next];
      const std::int32_t begin = target == first ? 0 : place_[at(target - first) - 1];
      for (std::int32_t i = begin; i < place_[at(target - first)]; ++i) {
        const std::int32_t source = source_[at(i)];
        if (distance[at(source)] != kNone) continue;
        distance[at(source)] = distance[at(target)] + 1;
        queue_.push_back(source);
      }
    }
  }

 private:
  // Of each target of the tree, the states with an edge to it: up to place_[target].
  void sort_by_target(std::int32_t first, std::int32_t end) {
    place_.assign(at(end - first) + 1, 0);
    for_each_edge(first, end,
                  [&](std::int32_t, std::int32_t target) { ++place_[at(target - first) + 1]; });
    for (std::size_t i = 1; i < place_.size(); ++i) place_[i] += place_[i - 1];
    source_.resize(at(place_.back()));
    for_each_edge(first, end, [&](std::int32_t source, std::int32_t target) {
      source_[at(place_[at(target - first)]++)] = source;
    });
  }

  template <class Visit>
  void for_each_edge(std::int32_t first, std::int32_t end, Visit visit) const {
    for (std::int32_t state = first; state < end; ++state) {
      for (std::int32_t edge = graph_.first_edge[at(state)];
           edge < graph_.first_edge[at(state) + 1]; ++edge) {
        if (without_.empty() || without_[at(edge)] == 0) visit(state, graph_.target[at(edge)]);
      }
    }
  }

  const StateGraph& graph_;
  const EdgeMask& without_;
  std::vector<std::int32_t> place_;
  std::vector<std::int32_t> source_;
  std::vector<std::int32_t> queue_;
};

}  // namespace

StatePaths best_paths(const Forest& forest, const StateGraph& graph, std::span<const double> value,
                      const PathQueries& queries, const Execution& execution) {
  return find_paths(forest, graph, value, queries, execution,
                    [](PathSearch& search, std::int32_t start, Watch& watch) {
                      return search.to_best(start, watch);
                    });
}

StatePaths shortest_paths(const Forest& forest, const StateGraph& graph,
                          std::span<const double> value, double threshold,
                          const PathQueries& queries, const Execution& execution) {
  check(threshold);
  return find_paths(forest, graph, value, queries, execution,
                    [=](PathSearch& search, std::int32_t start, Watch& watch) {
                      return search.to_nearest(start, threshold, watch);
                    });
}

Column<std::int32_t> distance_to_goal(const StateGraph& graph, std::span<const double> value,
                                      double threshold, std::span<const std::int32_t> without,
                                      const Execution& execution) {
  check(graph, value);
  check(threshold);
  const EdgeMask mask = mask_of(graph, without);
  Buffer<std::int32_t> distance(value.size());
  const auto num_trees = static_cast<std::int32_t>(graph.first_state.size()) - 1;
  const auto is_goal = [&](std::int32_t state) { return is_at_least(value[at(state)], threshold); };
  parallel_for_with(
      num_trees, execution, [&] { return BackwardSearch(graph, mask); },
      [&](BackwardSearch& search, std::int32_t tree, Watch& watch) {
        search.run(tree, is_goal, distance, watch);
      });
  return distance;
}

}  // namespace w2stree
