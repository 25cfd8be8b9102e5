#include "pairs/pair_counts.hpp"

#include <algorithm>
#include <numeric>

#include "base/parallel.hpp"
#include "pairs/action_numbers.hpp"
#include "pairs/divergence_sweep.hpp"
#include "pairs/pair_table.hpp"
#include "pairs/small_tree.hpp"

namespace w2stree {
namespace {

// Levels that no rule tells apart: they beat the same ones and are beaten by the same ones.
//
//   level        0 1 2 3 4 5       success_threshold between levels 3 and 4
//   num_beaten   0 0 0 0 4 4
//   class        0 0 0 0 1 1       num_beaten by class: 0, 1
struct Classes {
  explicit Classes(std::span<const std::int32_t> num_beaten_levels) {
    const std::size_t num_levels = num_beaten_levels.size();
    std::vector<bool> begins(num_levels + 1, false);  // is beaten where the level below is not
    for (const std::int32_t beaten : num_beaten_levels) begins[at(beaten)] = true;
    for (std::size_t level = 0; level < num_levels; ++level) {
      const bool is_new =
          level == 0 || begins[level] || num_beaten_levels[level] != num_beaten_levels[level - 1];
      of_level.push_back((level == 0 ? -1 : of_level.back()) + is_new);
      if (!is_new) continue;
      const std::int32_t beaten = num_beaten_levels[level];
      num_beaten.push_back(beaten == 0 ? 0 : of_level[at(beaten) - 1] + 1);
    }
  }

  std::vector<std::int32_t> of_level;
  std::vector<std::int32_t> num_beaten;
};

// Counts by histograms: row p says how many of the tree's first p trajectories (by position)
// belong to the lowest 0, 1, 2, … classes. The trajectories of a chain are a range of positions,
// so their histogram is the difference of two rows.
//
//   class of position   1 0 1         row 0   0 0 0
//                                     row 1   0 0 1
//                                     row 2   0 1 2
//                                     row 3   0 1 3
class HistogramCount {
 public:
  HistogramCount(const Forest& forest, const ReturnOrder& order, const Classes& classes)
      : forest_(&forest),
        order_(&order),
        classes_(&classes),
        width_(classes.num_beaten.size() + 1) {}

  void count(std::int32_t tree, std::span<std::int64_t> count, Watch& watch) {
    const std::int32_t root = forest_->root_chain[at(tree)];
    first_ = forest_->chains.first_trajectory[at(root)];
    fill_rows(tree);
    for (std::size_t i = 0; i < count.size(); ++i) {
      const std::int32_t chain = root + static_cast<std::int32_t>(i);
      if (!is_decision_divergence(*forest_, chain)) continue;
      count[i] = count_at(chain);
      watch.check();
    }
  }

 private:
  void fill_rows(std::int32_t tree) {
    const std::span<const Ranked> ascending = order_->tree(*forest_, tree);
    class_.resize(ascending.size());
    for (const Ranked& trajectory : ascending) {
      class_[at(trajectory.position - first_)] = classes_->of_level[at(trajectory.level)];
    }
    rows_.resize((ascending.size() + 1) * width_);
    std::fill_n(rows_.begin(), width_, 0);
    for (std::size_t i = 0; i < class_.size(); ++i) {
      const std::int32_t* row = rows_.data() + i * width_;
      std::int32_t* next = rows_.data() + (i + 1) * width_;
      for (std::size_t c = 0; c < width_; ++c) {
        next[c] = row[c] + (class_[i] < static_cast<std::int32_t>(c));
      }
    }
  }

  // Pairs with different actions = all pairs - pairs within one action.
  std::int64_t count_at(std::int32_t chain) {
    const std::int32_t begin = forest_->chains.first_trajectory[at(chain)];
    const std::int32_t end = begin + forest_->chains.num_trajectories[at(chain)];
    const std::int32_t* last = row(end);
    const std::int64_t all =
        count_between(row(begin + forest_->chains.num_terminal[at(chain)]), last);
    return all == 0 ? 0 : all - count_within_actions(chain);
  }

  std::int64_t count_within_actions(std::int32_t chain) {
    number_actions(*forest_, chain, action_);
    const std::int32_t num_actions = forest_->chains.num_actions[at(chain)];
    if (at(num_actions) < action_.size()) return count_within_shared(chain, num_actions);
    std::int64_t count = 0;
    for_each_child(*forest_, chain, [&](std::int32_t child) {
      const std::int32_t num_own = forest_->chains.num_trajectories[at(child)];
      if (num_own < 2) return;
      const std::int32_t begin = forest_->chains.first_trajectory[at(child)];
      count += count_between(row(begin), row(begin + num_own));
    });
    return count;
  }

  // Likewise where children share an action: their histograms are added up.
  std::int64_t count_within_shared(std::int32_t chain, std::int32_t num_actions) {
    sums_.assign(at(num_actions) * width_, 0);
    auto action = action_.begin();
    for_each_child(*forest_, chain, [&](std::int32_t child) {
      const std::int32_t begin = forest_->chains.first_trajectory[at(child)];
      const std::int32_t* low = row(begin);
      const std::int32_t* high = row(begin + forest_->chains.num_trajectories[at(child)]);
      std::int32_t* sum = sums_.data() + at(*action++) * width_;
      for (std::size_t c = 0; c < width_; ++c) sum[c] += high[c] - low[c];
    });
    const std::vector<std::int32_t> zero(width_, 0);
    std::int64_t count = 0;
    for (std::int32_t i = 0; i < num_actions; ++i) {
      count += count_between(zero.data(), sums_.data() + at(i) * width_);
    }
    return count;
  }

  // Pairs among the trajectories between two rows, whatever their actions.
  std::int64_t count_between(const std::int32_t* low, const std::int32_t* high) const {
    std::int64_t count = 0;
    for (std::size_t c = 0; c + 1 < width_; ++c) {
      const std::size_t beaten = at(classes_->num_beaten[c]);
      const std::int64_t num_chosen = (high[c + 1] - low[c + 1]) - (high[c] - low[c]);
      count += num_chosen * (high[beaten] - low[beaten]);
    }
    return count;
  }

  const std::int32_t* row(std::int32_t position) const {
    return rows_.data() + at(position - first_) * width_;
  }

  const Forest* forest_;
  const ReturnOrder* order_;
  const Classes* classes_;
  std::size_t width_;
  std::int32_t first_ = 0;            // position of the tree
  std::vector<std::int32_t> class_;   // by position within the tree
  std::vector<std::int32_t> rows_;    // [trajectories + 1, width]
  std::vector<std::int32_t> action_;  // scratch, by child
  std::vector<std::int32_t> sums_;    // scratch, [num_actions, width]
};

// For returns of many classes: visits the divergences one by one.
class SweepCount {
 public:
  SweepCount(const Forest& forest, const ReturnOrder& order)
      : forest_(&forest), small_(forest, order), sweep_(forest, order) {}

  void count(std::int32_t tree, std::span<std::int64_t> count, Watch& watch) {
    if (SmallTree::holds(*forest_, tree)) return small_.count(tree, count);
    for (sweep_.enter(tree); sweep_.next(); watch.check()) {
      count[at(sweep_.chain() - sweep_.root())] = count_at(sweep_, num_passed_);
    }
  }

 private:
  const Forest* forest_;
  SmallTree small_;
  DivergenceSweep sweep_;
  std::vector<std::int32_t> num_passed_;
};

template <class Counter>
std::vector<std::int64_t> count_trees(const Forest& forest, const Counter& prototype,
                                      const Execution& execution) {
  const std::int32_t num_trees = w2stree::num_trees(forest);
  std::vector<Counter> counters(at(num_workers(num_trees, execution)), prototype);
  std::vector<std::int64_t> count(at(num_chains(forest)), 0);
  parallel_for(num_trees, execution, [&](std::int32_t tree, std::int32_t worker, Watch& watch) {
    const std::int32_t begin = forest.root_chain[at(tree)];
    const std::int32_t end = forest.root_chain[at(tree) + 1];
    counters[at(worker)].count(tree, std::span(count).subspan(at(begin), at(end - begin)), watch);
  });
  return count;
}

std::int64_t largest_tree(const Forest& forest) {
  std::int32_t largest = 0;
  for (std::int32_t tree = 0; tree < num_trees(forest); ++tree) {
    largest = std::max(largest, forest.chains.num_trajectories[at(forest.root_chain[at(tree)])]);
  }
  return largest;
}

}  // namespace

std::vector<std::int64_t> count_pairs(const Forest& forest, const ReturnOrder& order,
                                      const Execution& execution) {
  constexpr std::int64_t kFewClasses = 32;       // more, and a visit costs less than its rows
  constexpr std::int64_t kMaxNumbers = 1 << 26;  // in the rows of a tree: 256 MiB
  const Classes classes(order.num_beaten);
  const std::int64_t num_classes = std::ssize(classes.num_beaten);
  if (num_classes <= kFewClasses && largest_tree(forest) * (num_classes + 1) < kMaxNumbers) {
    return count_trees(forest, HistogramCount(forest, order, classes), execution);
  }
  return count_trees(forest, SweepCount(forest, order), execution);
}

}  // namespace w2stree
