#include "states/path_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "w2stree/base/returns.hpp"

namespace w2stree {

StatePath PathSearch::to_best(std::int32_t start, Watch& watch) {
  reach_all(start, watch);
  double best = -std::numeric_limits<double>::infinity();
  for (const std::int32_t state : queue_) {
    if (value_[at(state)] > best) best = value_[at(state)];
  }
  return path_to(nearest([&](double value) { return value == best || is_at_least(value, best); }));
}

StatePath PathSearch::to_nearest(std::int32_t start, double threshold, Watch& watch) {
  reach_all(start, watch);
  return path_to(nearest([&](double value) { return is_at_least(value, threshold); }));
}

// Edges are taken in their order, so the first way found to a state is that of the lowest edges.
void PathSearch::reach_all(std::int32_t start, Watch& watch) {
  const std::span<const std::int32_t> first_state = graph_.first_state;
  const auto above = std::ranges::upper_bound(first_state, start);
  tree_ = static_cast<std::int32_t>(above - first_state.begin()) - 1;
  first_state_ = first_state[at(tree_)];
  start_ = start;
  reached_.assign(at(first_state[at(tree_) + 1] - first_state_), Reached{});
  reached(start).distance = 0;
  queue_.assign(1, start);
  for (std::size_t next = 0; next < queue_.size(); ++next) {
    watch.check();
    const std::int32_t state = queue_[next];
    for (std::int32_t edge = graph_.first_edge[at(state)]; edge < graph_.first_edge[at(state) + 1];
         ++edge) {
      const std::int32_t target = graph_.target[at(edge)];
      if (reached(target).distance != kNone) continue;
      if (!without_.empty() && without_[at(edge)] != 0) continue;
      reached(target) = {reached(state).distance + 1, state, edge};
      queue_.push_back(target);
    }
  }
}

template <class IsWanted>
std::int32_t PathSearch::nearest(IsWanted is_wanted) const {
  std::int32_t found = kNone;
  for (const std::int32_t state : queue_) {
    if (found != kNone && reached(state).distance > reached(found).distance) break;
    if (std::isnan(value_[at(state)]) || !is_wanted(value_[at(state)])) continue;
    if (found == kNone || state < found) found = state;
  }
  return found;
}

StatePath PathSearch::path_to(std::int32_t end) const {
  StatePath path;
  if (end == kNone) return path;
  path.end = end;
  for (std::int32_t state = end; state != start_; state = reached(state).from) {
    path.edges.push_back(reached(state).edge);
  }
  std::ranges::reverse(path.edges);
  path.trajectory = trajectory_along(path);
  return path;
}

std::int32_t PathSearch::trajectory_along(const StatePath& path) const {
  std::int32_t found = kNone;
  const std::span<const double> total_return = forest_.total_return;
  for (std::int32_t chain = forest_.root_chain[at(tree_)];
       chain < forest_.root_chain[at(tree_) + 1]; ++chain) {
    if (!ends_along(chain, path)) continue;
    for (const std::int32_t trajectory : trajectories_ending_at(forest_, chain)) {
      const bool is_better =
          found == kNone || total_return[at(trajectory)] > total_return[at(found)] ||
          (total_return[at(trajectory)] == total_return[at(found)] && trajectory < found);
      if (is_better) found = trajectory;
    }
  }
  return found;
}

// Whether the steps that lead to the last node of `chain`, where trajectories end, are the path:
// compared from the end up.
bool PathSearch::ends_along(std::int32_t chain, const StatePath& path) const {
  std::int32_t node = last_node(forest_, chain);
  if (forest_.chains.num_terminal[at(chain)] == 0) return false;
  if (graph_.node_state[at(node)] != path.end) return false;
  for (std::size_t i = path.edges.size(); i-- > 0;) {
    if (graph_.node_edge[at(node)] != path.edges[i]) return false;
    if (node == forest_.chains.first_node[at(chain)]) {
      chain = forest_.chains.parent[at(chain)];
      node = last_node(forest_, chain);
    } else {
      --node;
    }
  }
  const bool starts_at_root = start_ == first_state_;
  return !starts_at_root || node == forest_.chains.first_node[at(forest_.root_chain[at(tree_)])];
}

}  // namespace w2stree
