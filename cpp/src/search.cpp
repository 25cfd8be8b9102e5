#include "w2stree/search.hpp"

#include <cmath>
#include <limits>

#include "parallel.hpp"
#include "w2stree/errors.hpp"

namespace w2stree {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kDemoUnvisited = -999999.0;  // the authors' score of an unvisited child

struct Statistics {
  double visit_count;  // c; exact: counts stay far below 2^53
  double value_sum;    // r
};

// Search on one tree. Touches only the entries of its own nodes, so trees may run in parallel.
class TreeSearch {
 public:
  TreeSearch(const Forest& forest, const SearchOptions& options, SearchResult& result)
      : forest_(forest), options_(options), result_(result) {}

  void run(std::int32_t tree) {
    const std::int32_t root = forest_.root_chain[at(tree)];
    if (forest_.chains.num_trajectories[at(root)] == 0) return;
    value_ending_.resize(at(forest_.chains.subtree_end[at(root)] - root));
    for (std::size_t i = 0; i < value_ending_.size(); ++i) {
      value_ending_[i] = mean_return_ending_at(root + static_cast<std::int32_t>(i));
    }
    for (std::int64_t i = 0; i < options_.num_simulations; ++i) {
      const std::int32_t end = descend(root, [&](std::int32_t node) { return explore(node); });
      back_up(end, value_ending_[at(end - root)]);
    }
    const std::int32_t end = descend(root, [&](std::int32_t node) { return exploit(node); });
    result_.best_end_chain[at(tree)] = end;
    result_.best_trajectory[at(tree)] = best_trajectory_ending_at(end);
  }

 private:
  // Follows chosen arms from the root until one leads to its own node: STOP.
  template <class Choose>
  static std::int32_t descend(std::int32_t root, Choose choose) {
    std::int32_t node = root;
    for (std::int32_t next = choose(node); next != node; next = choose(node)) node = next;
    return node;
  }

  std::int32_t explore(std::int32_t node) const {
    // Every visit of the node took one of its arms: C is the node's own count.
    const double log_total = std::log(static_cast<double>(result_.visit_count[at(node)]) + 1e-12);
    return best_arm(node, [&](const Statistics& arm) {
      const auto [c, r] = arm;
      if (c == 0) return kInfinity;
      return r / c + options_.exploration * std::sqrt(log_total / c);  // Eq. 7
    });
  }

  std::int32_t exploit(std::int32_t node) const {
    const double unvisited = options_.stop_arm ? -kInfinity : kDemoUnvisited;
    return best_arm(node, [&](const Statistics& arm) {
      return arm.visit_count == 0 ? unvisited : arm.value_sum / arm.visit_count;
    });
  }

  // The first arm of greatest score; a leaf's only arm is STOP.
  template <class Score>
  std::int32_t best_arm(std::int32_t node, Score score) const {
    if (is_leaf(forest_, node)) return node;
    std::int32_t best = kNone;
    double best_score = 0.0;
    const auto consider = [&](std::int32_t arm, const Statistics& statistics) {
      const double arm_score = score(statistics);
      if (best != kNone && !(arm_score > best_score)) return;
      best = arm;
      best_score = arm_score;
    };
    if (options_.stop_arm && forest_.chains.num_terminal[at(node)] > 0)
      consider(node, stop_arm(node));
    for_each_child(forest_, node, [&](std::int32_t child) { consider(child, child_arm(child)); });
    return best;
  }

  Statistics stop_arm(std::int32_t node) const {
    return {static_cast<double>(result_.stop_visit_count[at(node)]),
            result_.stop_value_sum[at(node)]};
  }

  Statistics child_arm(std::int32_t child) const {
    return {static_cast<double>(result_.visit_count[at(child)]), result_.value_sum[at(child)]};
  }

  void back_up(std::int32_t end, double value) {
    result_.stop_visit_count[at(end)] += 1;
    result_.stop_value_sum[at(end)] += value;
    for (std::int32_t node = end; node != kNone; node = forest_.chains.parent[at(node)]) {
      result_.visit_count[at(node)] += 1;
      result_.value_sum[at(node)] += value;
    }
  }

  double mean_return_ending_at(std::int32_t node) const {
    const auto ending = trajectories_ending_at(forest_, node);
    if (ending.empty()) return 0.0;  // never asked for: no descent can end here
    double sum = 0.0;
    for (const std::int32_t trajectory : ending) sum += forest_.total_return[at(trajectory)];
    return sum / static_cast<double>(ending.size());
  }

  std::int32_t best_trajectory_ending_at(std::int32_t node) const {
    const auto ending = trajectories_ending_at(forest_, node);
    std::int32_t best = ending.front();
    for (const std::int32_t trajectory : ending) {
      if (forest_.total_return[at(trajectory)] > forest_.total_return[at(best)]) best = trajectory;
    }
    return best;
  }

  const Forest& forest_;
  const SearchOptions& options_;
  SearchResult& result_;
  std::vector<double> value_ending_;  // by node, from the tree's root on
};

void check(const SearchOptions& options) {
  if (options.num_simulations < 1) {
    refuse("num_simulations=", options.num_simulations, "; expected at least 1");
  }
  if (!std::isfinite(options.exploration) || options.exploration < 0) {
    refuse("exploration=", options.exploration, "; expected a finite number >= 0");
  }
}

}  // namespace

SearchResult search(const Forest& forest, const SearchOptions& options,
                    const Execution& execution) {
  check(options);
  const std::size_t num_trees = at(w2stree::num_trees(forest));
  const std::size_t nodes = at(num_chains(forest));
  SearchResult result;
  result.visit_count.assign(nodes, 0);
  result.value_sum.assign(nodes, 0.0);
  result.stop_visit_count.assign(nodes, 0);
  result.stop_value_sum.assign(nodes, 0.0);
  result.best_end_chain.assign(num_trees, kNone);
  result.best_trajectory.assign(num_trees, kNone);
  parallel_for(w2stree::num_trees(forest), execution, [&](std::int32_t tree, std::int32_t, Watch&) {
    TreeSearch(forest, options, result).run(tree);
  });
  return result;
}

}  // namespace w2stree
